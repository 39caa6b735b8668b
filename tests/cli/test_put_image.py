"""`put-image` beside the real `aws ecr put-image`: options, input, output, mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from awscli.clidriver import create_clidriver

from ecr_promoter.put_image_input import option
from tests.cli.conftest import DIGEST, ID, REGION, Ended, FakeApi, Run, problem, promoted, record, waiting

MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
NEEDED = ("--repository-name", "team/web", "--image-manifest", MANIFEST)
PUT = (*NEEDED, "--image-tag", "prod")
AWS_DATA_PATH = os.environ["AWS_DATA_PATH"]  # the AWS CLI sets it when it is imported
OPERATION: Any = botocore.session.get_session().get_service_model("ecr").operation_model("PutImage")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the real AWS CLI in this process, where it starts faster."""
    monkeypatch.setenv("AWS_DATA_PATH", AWS_DATA_PATH)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)  # version 1 does not read AWS_REGION
    monkeypatch.setattr(sys, "argv", ["aws"])  # its messages begin with the program's name

    def run(*line: str) -> Ended:
        capsys.readouterr()
        try:
            exit_code = create_clidriver().main(["ecr", "put-image", *line])
        except SystemExit as ended:  # a mistake in the options
            exit_code = int(ended.code or 0)
        printed = capsys.readouterr()
        return Ended(exit_code, printed.out, printed.err)

    return run


def aws_help() -> str:
    """Return the page `aws ecr put-image help`, which goes through the programs that show it."""
    command = [str(Path(sys.executable).with_name("aws")), "ecr", "put-image", "help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_option_of_put_image_is_there(run: Run) -> None:
    """As the service model has them, and as the help of the AWS CLI names them."""
    ours = run("put-image", "--help").stdout
    named = {option(name) for name in OPERATION.input_shape.members}

    assert named | {"--cli-input-json", "--generate-cli-skeleton"} <= set(re.findall(r"--[a-z-]+", ours))
    page = re.sub(".\x08|\x1b\\[[0-9;]*m", "", aws_help())  # bold, for a terminal
    theirs = set(re.findall(r"--[a-z0-9-]+", page.partition("SYNOPSIS")[2].partition("OPTIONS")[0]))
    missing = {"--endpoint-url", "--no-verify-ssl", "--no-sign-request", "--version", "--v2-debug"}  # in the docs
    hidden = {"--no-paginate", "--cli-read-timeout", "--cli-connect-timeout"}  # taken, and of no interest
    assert named <= theirs
    assert theirs - missing - hidden <= set(re.findall(r"--[a-z-]+", ours))


@pytest.mark.parametrize(
    "line",
    [
        ("--generate-cli-skeleton",),
        ("--generate-cli-skeleton", "input"),
        ("--generate-cli-skeleton", "input", "--query", "repositoryName", "--output", "text"),
        ("--generate-cli-skeleton", "input", "--image-tag", "prod"),
        (*NEEDED, "--generate-cli-skeleton", "output"),
        (*NEEDED, "--generate-cli-skeleton", "output", "--query", "image.imageId", "--output", "json"),
        (*NEEDED, "--generate-cli-skeleton", "output", "--output", "text"),
        (*NEEDED, "--generate-cli-skeleton", "output", "--query", "image.imageId.imageTag", "--output", "text"),
        (
            *("--cli-input-json", json.dumps({"repositoryName": "team/web", "imageManifest": MANIFEST})),
            *("--generate-cli-skeleton", "output"),
        ),
    ],
)
def test_skeletons_are_the_same(run: Run, aws: Run, line: tuple[str, ...]) -> None:
    """Byte for byte, without a request."""
    theirs = aws(*line)
    ours = run("put-image", *line)

    assert (theirs.exit_code, ours.exit_code) == (0, 0)
    assert ours.stdout == theirs.stdout


def output(run: Run, api: FakeApi, *line: str) -> str:
    api.answer("POST /promotions", promoted())
    ended = run("put-image", *PUT, *line)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


def test_the_output_is_put_images(run: Run, api: FakeApi) -> None:
    """The structure `image` with its members in their order, indented as the AWS CLI indents."""
    image = {
        "registryId": "123456789012",
        "repositoryName": "team/web",
        "imageId": {"imageDigest": DIGEST, "imageTag": "prod"},
        "imageManifest": '{"schemaVersion": 2}',
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
    }

    assert output(run, api) == json.dumps({"image": image}, indent=4) + "\n"
    assert list(image) == list(OPERATION.output_shape.members["image"].members)


def test_the_format_is_the_one_that_the_aws_cli_would_choose(
    run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The option, then AWS_DEFAULT_OUTPUT, then the profile, then JSON."""
    (tmp_path / "config").write_text("[default]\noutput = text\n")
    digest = ("--query", "image.imageId.imageDigest")

    assert output(run, api, *digest) == f"{DIGEST}\n"
    monkeypatch.setenv("AWS_DEFAULT_OUTPUT", "json")
    assert output(run, api, *digest) == f'"{DIGEST}"\n'
    assert output(run, api, *digest, "--output", "text") == f"{DIGEST}\n"


def test_an_image_that_is_there_already_is_printed(run: Run, api: FakeApi) -> None:
    """Exit code 0, where AWS fails with ImageAlreadyExistsException."""
    api.answer("POST /promotions", promoted("UNCHANGED"))

    ended = run("put-image", *PUT)

    assert ended.exit_code == 0
    assert ended.document["image"]["imageId"]["imageTag"] == "prod"


@pytest.mark.parametrize(
    ("line", "body"),
    [
        (PUT, {}),
        ((*PUT, "--registry-id", "123456789012"), {"registryId": "123456789012"}),
        ((*PUT, "--image-digest", DIGEST), {"imageDigest": DIGEST}),
        ((*PUT, "--image-manifest-media-type", "a/b"), {"imageManifestMediaType": "a/b"}),
        ((*PUT, "--wait"), {"wait": True}),
    ],
)
def test_the_options_are_put_images_members(
    run: Run, api: FakeApi, line: tuple[str, ...], body: dict[str, str]
) -> None:
    """PutImage's input is a request of the API."""
    api.answer("POST /promotions", promoted())

    assert run("put-image", *line).exit_code == 0
    expected = {"repositoryName": "team/web", "imageManifest": MANIFEST, "imageTag": "prod"}
    assert api.asked[0].document == expected | body


def test_options_override_the_input(run: Run, api: FakeApi, tmp_path: Path) -> None:
    """Of --cli-input-json, as text or as a file."""
    text = json.dumps({"repositoryName": "team/web", "imageManifest": MANIFEST, "imageTag": "other"})
    (tmp_path / "input.json").write_text(text)
    api.answer("POST /promotions", promoted())

    for given in (text, f"file://{tmp_path}/input.json"):
        assert run("put-image", "--cli-input-json", given, "--image-tag", "prod").exit_code == 0

    assert [each.document["imageTag"] for each in api.asked] == ["prod", "prod"]
    assert [each.document["repositoryName"] for each in api.asked] == ["team/web", "team/web"]


@pytest.mark.parametrize("prefix", ["file://", "fileb://"])
def test_a_manifest_keeps_its_bytes(run: Run, api: FakeApi, tmp_path: Path, prefix: str) -> None:
    """Also the newlines of Windows and a newline at the end: they are part of the digest."""
    text = '{\r\n  "schemaVersion": 2,\r\n  "a": "é"\r\n}\n'
    (tmp_path / "manifest.json").write_bytes(text.encode())
    api.answer("POST /promotions", promoted())

    named = (*PUT[:2], "--image-manifest", f"{prefix}{tmp_path}/manifest.json", *PUT[4:])

    assert run("put-image", *named).exit_code == 0
    assert api.asked[0].document["imageManifest"] == text


@pytest.mark.parametrize(
    "line",
    [
        (),
        ("--generate-cli-skeleton", "output"),
        ("--repository-name", "team/web", "--image-tag", "prod"),
        ("--repository-name", "a", "--image-manifest", ""),
        ("--cli-input-json", '{"imageTag": "prod"}'),
        ("--cli-input-json", '{"repositoryName": "team/web", "imageManifest": "{}", "x": 1}'),
        ("--cli-input-json", '{"repositoryName": 7, "imageManifest": "{}"}'),
    ],
)
def test_mistakes_are_told_as_by_the_aws_cli(run: Run, aws: Run, api: FakeApi, line: tuple[str, ...]) -> None:
    """The same sentences, on one line; nothing is sent."""
    theirs = aws(*line)
    ours = run("put-image", *line)

    assert (ours.exit_code, ours.stdout, api.asked) == (2, "", [])
    sentence = theirs.stderr.partition("aws: error: ")[2] or theirs.stderr
    assert " ".join(sentence.split()) in ours.stderr
    assert len(ours.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (NEEDED, "--image-tag is required"),
        ((*PUT[:2], "--image-manifest", "file:///no/such/file", *PUT[4:]), "cannot be read"),
        (("--cli-input-json", "[1]"), "must be an object"),
        (("--cli-input-json", "{"), "is not JSON"),
        (("--cli-input-json", "[" * 100_000), "is not JSON"),
        (("--generate-cli-skeleton", "yaml"), "'input', 'output'"),
    ],
)
def test_other_mistakes_are_told_in_a_line(run: Run, api: FakeApi, line: tuple[str, ...], words: str) -> None:
    """Exit code 2, and nothing is sent."""
    ended = run("put-image", *line)

    assert (ended.exit_code, ended.stdout, api.asked) == (2, "", [])
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_refusal_prints_nothing_to_stdout(run: Run, api: FakeApi) -> None:
    """As where the AWS CLI fails: a script that captures the output gets none."""
    api.answer("POST /promotions", problem("not_allowed", 403), 403)

    ended = run("put-image", *PUT, "--output", "json")

    assert (ended.exit_code, ended.stdout) == (3, "")


def test_an_image_that_had_to_wait_is_printed_whole(run: Run, api: FakeApi) -> None:
    """With the manifest that was sent; the record has none."""
    path = f"GET /promotions/{ID}"
    api.answer("POST /promotions", waiting("scan_pending"), 202).answer(path, record())

    ended = run("put-image", *PUT, "--wait")

    assert ended.exit_code == 0
    assert list(ended.document["image"]) == list(OPERATION.output_shape.members["image"].members)
    assert ended.document["image"]["imageManifest"] == MANIFEST


def test_an_outcome_of_a_newer_service_is_not_a_success(run: Run, api: FakeApi) -> None:
    """Nobody knows whether the tag was put."""
    api.answer("POST /promotions", waiting("scan_pending"), 202).answer(
        f"GET /promotions/{ID}", record("REJECTED")
    )

    ended = run("put-image", *PUT, "--wait")

    assert (ended.exit_code, ended.stdout) == (4, "")
    assert "REJECTED" in ended.stderr


def test_what_the_aws_cli_takes_and_has_no_meaning_here_is_taken(run: Run, api: FakeApi) -> None:
    """A script with these options goes on working."""
    ignored: tuple[Any, ...] = ("--no-paginate", "--no-cli-pager", "--cli-read-timeout", "5", "--color", "off")

    assert output(run, api, *ignored)
