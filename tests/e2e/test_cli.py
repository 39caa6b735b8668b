"""The command line on the deployed stack, as a user types it, and put-image beside the real AWS CLI."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from awscli.clidriver import create_clidriver

from ecr_promoter.__main__ import main
from local import pusher
from promoter.domain import manifest
from tests.corpus.test_manifests import MANIFESTS, NOT_TAKEN
from tests.e2e.conftest import Image, Stack
from tests.support.waiting_processes import waiting_process

PROJECT = Path(__file__).parents[2]
CRITICAL = {"id": "CVE-2026-1234", "severity": "CRITICAL", "package": "openssl"}
PROMOTER = (sys.executable, "-m", "ecr_promoter")
Program = Callable[[list[str]], int]
"""Takes what stands after the program's name, prints, and returns the exit code."""
SKELETON = ("put-image", "--generate-cli-skeleton")


class Ended(NamedTuple):
    """How a program ended: its exit code, and what it printed."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Shell:
    """A terminal's environment: `.local/env` and nothing of the user's own AWS.

    The programs run in this process, where they start faster.
    """

    capsys: pytest.CaptureFixture[str]

    def run(self, program: Program, *line: str) -> Ended:
        """Run a program."""
        self.capsys.readouterr()
        exit_code = program(list(line))
        return Ended(exit_code, *self.capsys.readouterr())

    def promoter(self, *line: str, exits: int = 0) -> str:
        """Run ecr-promoter; return what it prints if it ends as expected."""
        done = self.run(main, *line)
        assert done.exit_code == exits, done.stderr
        assert "Traceback" not in done.stderr
        assert exits == 0 or len(done.stderr.splitlines()) == 1
        return done.stdout

    def data(self, *line: str) -> Any:
        """Return what ecr-promoter prints, as data."""
        return json.loads(self.promoter(*line, "--output", "json"))


def aws_ecr(line: list[str]) -> int:
    """Run `aws ecr`, the real AWS CLI."""
    exit_code: int = create_clidriver().main(["ecr", *line])
    return exit_code


@pytest.fixture
def shell(stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    for name in os.environ:
        if name.startswith("AWS_") and name != "AWS_DATA_PATH":  # the AWS CLI has set it when it was imported
            monkeypatch.delenv(name)
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    return Shell(capsys)


def test_a_promotion_and_its_rollback(shell: Shell, stack: Stack, image: Image) -> None:
    """Promote, see it, take it back, see that too."""
    repository = image.repository
    other = pusher.push_image(stack.aws.registry, repository, "candidate-2", seed="other").digest

    assert "PROMOTED   prod   (new)" in shell.promoter("promote", repository, "candidate", "--to", "prod")
    assert "UNCHANGED" in shell.promoter("promote", repository, "candidate", "--to", "prod")
    second = shell.data("promote", repository, other, "--to", "prod", "--expect", f"prod={image.digest}")
    assert stack.tags(repository)["prod"] == other
    undone = shell.data("rollback", repository, "prod")

    assert undone["undoes"] == second["promotionId"]
    assert stack.tags(repository)["prod"] == image.digest
    assert shell.data("heads", repository, "prod")["heads"][0]["imageDigest"] == image.digest
    history = shell.data("history", repository, "prod")["promotions"]
    assert [each.get("undoes") for each in history] == [second["promotionId"], None, None, None]
    assert shell.data("status", second["promotionId"])["imageDigest"] == other
    listed = shell.promoter("list", repository, "--outcome", "PROMOTED", "--since", "1h").splitlines()
    assert len(listed) == 2 + 3


def test_a_finding_refuses_and_is_named(shell: Shell, stack: Stack, image: Image) -> None:
    """Exit code 3; the table and the line on stderr name the vulnerability."""
    for platform in image.platforms:
        stack.scan(image.repository, platform, findings=[CRITICAL])

    done = shell.run(main, "promote", image.repository, "candidate", "--to", "gated")

    assert done.exit_code == 3
    assert "ecr-promoter: gate_refused: linux/amd64: CVE-2026-1234 in openssl is CRITICAL" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["linux/amd64", "linux/arm64"]


def waiting(image: Image) -> AbstractContextManager[subprocess.Popen[str]]:
    """The process of a pipeline whose promotion waits for scans, with the answer as JSON."""
    line = (*PROMOTER, "promote", image.repository, "candidate", "--to", "gated", "--wait", "--output", "json")
    return waiting_process(line, os.environ | {"PYTHONPATH": str(PROJECT / "cli")})


def test_a_promotion_waits_for_its_scans_and_ends_by_itself(shell: Shell, stack: Stack, image: Image) -> None:
    """Exit code 0, with the answer of one that did not wait."""
    with waiting(image) as process:
        for platform in image.platforms:
            stack.scan(image.repository, platform)
        printed, told = process.communicate()

    assert (process.returncode, told) == (0, "")
    assert json.loads(printed)["outcome"] == "PROMOTED"
    assert stack.tags(image.repository)["gated"] == image.digest


def test_a_promotion_that_waits_is_refused_for_a_finding(shell: Shell, stack: Stack, image: Image) -> None:
    """Exit code 3, and the finding is named."""
    with waiting(image) as process:
        for platform in image.platforms:
            stack.scan(image.repository, platform, findings=[CRITICAL])
        _, told = process.communicate()

    assert process.returncode == 3
    assert "gate_refused: linux/amd64: CVE-2026-1234 in openssl is CRITICAL" in told
    assert "gated" not in stack.tags(image.repository)


def test_ctrl_c_leaves_a_promotion_waiting(shell: Shell, stack: Stack, image: Image) -> None:
    """Exit code 5. It is listed, goes on, and can be followed again."""
    with waiting(image) as process:
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate()

    promotion_id = json.loads(printed)["promotionId"]
    assert process.returncode == 5
    assert f"Follow it: ecr-promoter status {promotion_id} --wait." in told
    listed = shell.data("list", image.repository, "--outcome", "WAITING")["promotions"]
    assert [each["promotionId"] for each in listed] == [promotion_id]
    for platform in image.platforms:
        stack.scan(image.repository, platform)
    assert shell.run(main, "status", promotion_id, "--wait").exit_code == 0
    assert stack.tags(image.repository)["gated"] == image.digest
    assert shell.data("list", image.repository, "--outcome", "WAITING")["promotions"] == []


def test_a_promotion_that_waits_is_cancelled(shell: Shell, stack: Stack, image: Image) -> None:
    """The command that follows it ends with exit code 3. Scans put no tag after that."""
    with waiting(image) as process:
        (listed,) = shell.data("list", image.repository, "--outcome", "WAITING")["promotions"]
        shell.promoter("cancel", listed["promotionId"])
        _, told = process.communicate()

    assert process.returncode == 3
    assert "cancelled" in told
    for platform in image.platforms:
        stack.scan(image.repository, platform)
    assert shell.data("reconcile")["failures"] == []
    assert "gated" not in stack.tags(image.repository)


def test_a_freeze_stops_and_is_lifted(shell: Shell, image: Image) -> None:
    """The refusal says why; the list shows who."""
    scope = ("--repositories", image.repository)
    shell.promoter("freeze", "incident 7", *scope, "--until", "2h")

    assert image.repository in shell.promoter("freeze")
    shell.promoter("promote", image.repository, "candidate", "--to", "prod", exits=3)
    assert "yes" in shell.promoter("lift", *scope)
    shell.promoter("promote", image.repository, "candidate", "--to", "prod")


def test_reconcile_runs_once(shell: Shell) -> None:
    """It tells what it did."""
    assert shell.data("reconcile")["failures"] == []


def test_two_images_are_compared(shell: Shell, stack: Stack, image: Image) -> None:
    """Read from the registry itself, with the findings that only one has."""
    other = pusher.push_index(stack.aws.registry, image.repository, "bad", seed="bad")
    for digest in image.platforms:
        stack.scan(image.repository, digest)
    for child in other.children.values():
        stack.scan(image.repository, child.digest, findings=[CRITICAL])

    difference = shell.data("diff", image.repository, "candidate", "bad")

    assert [each["platform"] for each in difference["platforms"]] == ["linux/amd64", "linux/arm64"]
    assert difference["findings"]["onlyFirst"] == difference["findings"]["unknown"] == []
    (found,) = difference["findings"]["onlySecond"]
    assert (found["vulnerability"], found["platforms"]) == ("CVE-2026-1234", ["linux/amd64", "linux/arm64"])
    assert "CVE-2026-1234" in shell.promoter("diff", image.repository, "candidate", "bad")


def both(shell: Shell, stack: Stack, repository: str, tag: str, *line: str) -> tuple[str, str]:
    """Put an image with the AWS CLI and, without what that left, with ours; return what both print."""
    theirs = shell.run(aws_ecr, *line)
    assert theirs.exit_code == 0, theirs.stderr
    stack.client("ecr").batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
    return theirs.stdout, shell.promoter(*line)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--output", "json", "--query", "image.imageId"),
        ("--output", "text"),
        ("--query", "image.imageId.imageDigest", "--output", "text"),
        (
            "--registry-id",
            "123456789012",
            "--image-manifest-media-type",
            "application/vnd.oci.image.index.v1+json",
        ),
    ],
)
def test_put_image_is_that_of_the_aws_cli(
    shell: Shell, stack: Stack, image: Image, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """One command line for both; what they print is the same, byte for byte."""
    ecr = stack.client("ecr")
    found = ecr.batch_get_image(repositoryName=image.repository, imageIds=[{"imageTag": "candidate"}])
    (tmp_path / "manifest.json").write_text(found["images"][0]["imageManifest"])
    line = ("put-image", "--repository-name", image.repository, "--image-tag", "v1", *options)
    named = (*line, "--image-manifest", f"file://{tmp_path}/manifest.json", "--image-digest", image.digest)

    theirs, ours = both(shell, stack, image.repository, "v1", *named)

    assert ours == theirs
    assert stack.tags(image.repository)["v1"] == image.digest


def test_each_takes_the_others_skeleton(shell: Shell, stack: Stack, image: Image, tmp_path: Path) -> None:
    """The input that one prints is filled in, and put with the other; an option overrides it."""
    found = stack.client("ecr").batch_get_image(
        repositoryName=image.repository, imageIds=[{"imageTag": "candidate"}]
    )
    text = found["images"][0]["imageManifest"]
    printed = []
    for skeleton, program in ((shell.run(aws_ecr, *SKELETON).stdout, main), (shell.promoter(*SKELETON), aws_ecr)):
        members = json.loads(skeleton)
        assert not any(members.values())
        filled = {"registryId": "123456789012", "repositoryName": image.repository, "imageManifest": text}
        media_type = {"imageManifestMediaType": found["images"][0]["imageManifestMediaType"]}
        input_json = json.dumps(members | filled | media_type | {"imageTag": "other", "imageDigest": image.digest})
        (tmp_path / "input.json").write_text(input_json)
        line = ("put-image", "--cli-input-json", f"file://{tmp_path}/input.json", "--image-tag", "v7")
        done = shell.run(program, *line)
        assert done.exit_code == 0, done.stderr
        printed.append(done.stdout)
        stack.client("ecr").batch_delete_image(repositoryName=image.repository, imageIds=[{"imageTag": "v7"}])

    assert printed[0] == printed[1]


def test_what_is_there_already_is_a_success(shell: Shell, stack: Stack, image: Image, tmp_path: Path) -> None:
    """The AWS CLI fails, and a repeated job with it."""
    found = stack.client("ecr").batch_get_image(
        repositoryName=image.repository, imageIds=[{"imageTag": "candidate"}]
    )
    (tmp_path / "manifest.json").write_text(found["images"][0]["imageManifest"])
    manifest_option = ("--image-manifest", f"file://{tmp_path}/manifest.json")
    line = ("put-image", "--repository-name", image.repository, *manifest_option, "--image-tag", "v1")

    first, second = shell.promoter(*line), shell.promoter(*line)

    assert first == second
    assert "ImageAlreadyExistsException" in shell.run(aws_ecr, *line).stderr


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_a_manifest_of_the_corpus_is_put_as_by_the_aws_cli(shell: Shell, stack: Stack, file: Path) -> None:
    """The same JSON; what the service takes from no request is told as such, before anything is put."""
    if not file.exists():
        pytest.skip("PROMOTER_CORPUS names no folder")
    repository = stack.repository()
    body = file.read_bytes()
    stored = {
        "repositoryName": repository,
        "manifestBase64": base64.b64encode(body).decode(),
        "imageTag": "source",
    }
    media_type = manifest.media_type_of(body)
    stack.local("images", stored | {"imageManifestMediaType": media_type})
    options = (
        "--image-manifest",
        f"file://{file}",
        "--image-manifest-media-type",
        media_type,
        "--image-tag",
        "v1",
    )
    line = ("put-image", "--repository-name", repository, *options)

    if file.name in NOT_TAKEN:
        exit_code, printed, told = shell.run(main, *line)
        assert (exit_code, printed) == (2, "")
        assert NOT_TAKEN[file.name] in told
        assert "v1" not in stack.tags(repository)
        return
    theirs = shell.run(aws_ecr, *line)
    stack.client("ecr").batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    ours = shell.run(main, *line)
    assert ours == theirs
    assert (ours.exit_code, ours.stderr) == (0, "")


def test_a_user_without_the_right_learns_which_one_is_missing(shell: Shell, stack: Stack) -> None:
    """IAM of the local AWS is enforced."""
    iam = stack.client("iam")
    iam.create_user(UserName="cli-nobody")
    key = iam.create_access_key(UserName="cli-nobody")["AccessKey"]
    other = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    environment = stack.environment() | other | {"PYTHONPATH": str(PROJECT / "cli")}

    done = subprocess.run([*PROMOTER, "freeze"], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 4
    assert "execute-api:Invoke" in done.stderr


def test_the_stack_leads_to_the_api(stack: Stack) -> None:
    """Without ECR_PROMOTER_API_URL the outputs of the stack have the address, which has a name of AWS's here."""
    environment = stack.environment() | {"PYTHONPATH": str(PROJECT / "cli")}
    environment.pop("ECR_PROMOTER_API_URL")

    done = subprocess.run(
        [*PROMOTER, "freeze", "--debug", "--retry-for", "0"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ".execute-api.us-east-1.amazonaws.com" in done.stderr
