"""What CI systems run, on the deployed stack: as their runners run it, with this clone's command line.

The GitHub action, the component of GitLab, and what the how-to pages show for GitLab, Jenkins and CodeBuild.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from tests.e2e.conftest import Image, Stack, eventually, push
from tests.support import github, gitlab, snippets
from tests.support.runners import UVX

CRITICAL = {"id": "CVE-2026-7", "severity": "CRITICAL", "package": "openssl", "version": "3.0.1"}
T = TypeVar("T")
MAIN = "project_path:GROUP/PROJECT:ref_type:branch:ref:main"


@pytest.fixture
def staging(stack: Stack) -> Image:
    """The image that the how-to pages promote."""
    return push(stack, "staging")


def scan(stack: Stack, image: Image) -> None:
    """Finish the scans of an image, with a finding that its gate does not admit."""
    for number, platform in enumerate(image.platforms):
        stack.scan(image.repository, platform, findings=[CRITICAL] if number == 0 else [])


def promote(stack: Stack, folder: Path, image: Image, to: str, **inputs: str) -> github.Ended:
    """Run the step with the job's AWS credentials."""
    return github.run(
        folder,
        UVX,
        environment=stack.aws.environment(),
        repository=image.repository,
        source=image.tag,
        to=to,
        api_url=stack.variables["PROMOTER_API_URL"],
        **inputs,
    )


def test_the_action_promotes_and_says_what_moved(stack: Stack, image: Image, tmp_path: Path) -> None:
    """With the job's AWS credentials. The next step gets the digest."""
    ended = promote(stack, tmp_path, image, "prod")

    assert ended.code == 0, ended.log
    assert (ended.outputs["outcome"], ended.outputs["digest"]) == ("PROMOTED", image.digest)
    assert stack.tags(image.repository)["prod"] == image.digest
    assert "prod" in ended.summary
    assert promote(stack, tmp_path, image, "prod").outputs["outcome"] == "UNCHANGED"


def test_the_action_fails_with_the_findings(stack: Stack, image: Image, tmp_path: Path) -> None:
    """The step fails, and the summary has the finding with its severity and package."""
    scan(stack, image)

    ended = promote(stack, tmp_path, image, "gated")

    assert ended.code == 3
    assert (ended.outputs["outcome"], ended.outputs["code"]) == ("REFUSED", "gate_refused")
    assert "<code>CVE&#45;2026&#45;7</code>" in ended.summary
    assert "<code>openssl</code>" in ended.summary
    assert "::error title=ecr-promoter::gate_refused: " in ended.log
    assert "gated" not in stack.tags(image.repository)


def while_scans_finish(stack: Stack, image: Image, job: Callable[[], T]) -> T:
    """Run a job, and finish the scans of its image when its promotion waits for them; return how the job ended."""
    listing = f"/promotions?outcome=WAITING&repositoryName={quote(image.repository, safe='')}"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(job)
        eventually(lambda: stack.call("GET", listing)[1]["promotions"], bool)
        for platform in image.platforms:
            stack.scan(image.repository, platform)
        return running.result()


def test_the_action_waits_for_scans(stack: Stack, image: Image, tmp_path: Path) -> None:
    """The step ends by itself, and the summary says what it waited for."""
    ended = while_scans_finish(stack, image, lambda: promote(stack, tmp_path, image, "gated", wait="true"))

    assert (ended.code, ended.outputs["outcome"]) == (0, "PROMOTED"), ended.log
    assert stack.tags(image.repository)["gated"] == ended.outputs["digest"] == image.digest
    assert "What it waited for:\n\n- waiting for scan&#95;pending" in ended.summary


def test_a_dry_run_of_the_action_moves_nothing(stack: Stack, image: Image, tmp_path: Path) -> None:
    """It says what would move."""
    ended = promote(stack, tmp_path, image, "prod", dry_run="true")

    assert (ended.code, ended.outputs["outcome"]) == (0, "PLANNED")
    assert "prod" not in stack.tags(image.repository)


@pytest.fixture
def deployer(stack: Stack) -> str:
    """A role with the trust that the page about GitLab shows, and the right to promote."""
    iam, name = stack.client("iam"), f"deployer-{uuid.uuid4().hex[:8]}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(snippets.gitlab_trust()))["Role"]
    invoke = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": ["arn:aws:execute-api:*/POST/promotions", "arn:aws:execute-api:*/GET/promotions/*"],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [invoke]})
    iam.put_role_policy(RoleName=name, PolicyName="promote", PolicyDocument=document)
    return str(role["Arn"])


def id_token(subject: str) -> Callable[[str], str]:
    """Return what makes an ID token for an audience. The local AWS reads it without its signature."""

    def token(audience: str) -> str:
        claims = {"iss": "https://gitlab.example.com", "sub": subject, "aud": audience}
        parts = ({"alg": "RS256", "typ": "JWT"}, claims)
        return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts), "x"])

    return token


def in_gitlab(
    stack: Stack, folder: Path, image: Image, role: str, subject: str = MAIN, **others: Any
) -> gitlab.Ended:
    """Run the job that the page about GitLab includes, in a project that has other AWS credentials too."""
    inputs = snippets.gitlab_inputs() | {"repository": image.repository, "role_to_assume": role}
    return gitlab.run(
        folder,
        UVX,
        token=id_token(subject),
        environment=stack.aws.environment() | {"PROMOTER_API_URL": stack.variables["PROMOTER_API_URL"]},
        **inputs | others,
    )


def test_the_component_of_gitlab_promotes_with_a_role(
    stack: Stack, staging: Image, deployer: str, tmp_path: Path
) -> None:
    """The role is assumed with the job's ID token. Later jobs get the digest."""
    ended = in_gitlab(stack, tmp_path, staging, deployer)

    assert ended.code == 0, ended.log
    assert ended.variables["PROMOTER_OUTCOME"] == "PROMOTED"
    assert stack.tags(staging.repository)["prod"] == ended.variables["PROMOTER_DIGEST"] == staging.digest
    _, record = stack.call("GET", f"/promotions/{ended.variables['PROMOTER_PROMOTION_ID']}")
    assert record["caller"].endswith(f"assumed-role/{deployer.rpartition('/')[2]}/gitlab-42")


def test_another_branch_does_not_get_the_role(stack: Stack, staging: Image, deployer: str, tmp_path: Path) -> None:
    """The trust of the page names the branch. The other credentials of the project are not taken instead."""
    ended = in_gitlab(stack, tmp_path, staging, deployer, subject=MAIN.replace("main", "feature"))

    assert ended.code == 4
    assert "AccessDenied" in ended.log
    assert "prod" not in stack.tags(staging.repository)


def test_the_component_of_gitlab_fails_with_the_findings(
    stack: Stack, staging: Image, deployer: str, tmp_path: Path
) -> None:
    """They are in the log and in the artifact."""
    scan(stack, staging)

    ended = in_gitlab(stack, tmp_path, staging, deployer, to="gated")

    assert (ended.code, ended.variables["PROMOTER_CODE"]) == (3, "gate_refused")
    assert "CVE-2026-7 in openssl is CRITICAL" in ended.log
    assert ended.answer["reasons"][0]["vulnerability"] == "CVE-2026-7"


def test_the_component_of_gitlab_waits_for_scans(
    stack: Stack, staging: Image, deployer: str, tmp_path: Path
) -> None:
    """The job ends by itself, and its log says what it waited for."""
    ended = while_scans_finish(
        stack, staging, lambda: in_gitlab(stack, tmp_path, staging, deployer, to="gated", wait=True)
    )

    assert (ended.code, ended.variables["PROMOTER_OUTCOME"]) == (0, "PROMOTED"), ended.log
    assert stack.tags(staging.repository)["gated"] == ended.variables["PROMOTER_DIGEST"] == staging.digest
    assert "waiting for scan_pending" in ended.log


def in_jenkins(stack: Stack, folder: Path, image: Image) -> CompletedProcess[str]:
    """Run the pipeline of the page about Jenkins on an agent with AWS credentials."""
    known = stack.aws.environment() | {"ECR_PROMOTER_API_URL": stack.variables["PROMOTER_API_URL"]}
    return snippets.run_jenkins("role", folder, UVX, image.repository, known)


def in_codebuild(stack: Stack, folder: Path, image: Image) -> CompletedProcess[str]:
    """Run the build of the page about CodeBuild, whose project has a role."""
    known = stack.aws.environment() | {"ECR_PROMOTER_API_URL": stack.variables["PROMOTER_API_URL"]}
    return snippets.run_codebuild(folder, UVX, image.repository, known)


@pytest.mark.parametrize("run", [in_jenkins, in_codebuild])
def test_what_the_page_shows_promotes(
    run: Callable[[Stack, Path, Image], CompletedProcess[str]], stack: Stack, staging: Image, tmp_path: Path
) -> None:
    """A second run of the same build gets the first answer, by its key."""
    first, second = run(stack, tmp_path, staging), run(stack, tmp_path, staging)

    assert first.returncode == second.returncode == 0, first.stdout + second.stdout
    assert stack.tags(staging.repository)["prod"] == staging.digest
    assert "PROMOTED" in first.stdout
    assert "PROMOTED" in second.stdout


@pytest.mark.parametrize("run", [in_jenkins, in_codebuild])
def test_what_the_page_shows_fails_with_the_service(
    run: Callable[[Stack, Path, Image], CompletedProcess[str]], stack: Stack, staging: Image, tmp_path: Path
) -> None:
    """The build fails, and its log says why."""
    status, _ = stack.call("PUT", "/freeze", {"repositories": staging.repository, "reason": "incident 7"})
    assert status == 200

    ended = run(stack, tmp_path, staging)

    assert ended.returncode == 3
    assert "frozen: " in ended.stdout
    assert "prod" not in stack.tags(staging.repository)
