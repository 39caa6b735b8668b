"""The GitHub action on the deployed stack: its step, run as a runner runs it, with this clone's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Image, Stack
from tests.support import github
from tests.support.github import Ended

pytestmark = pytest.mark.skipif(not github.COMMAND_LINE.exists(), reason="this clone has no command line")


def promote(stack: Stack, folder: Path, image: Image, to: str, **inputs: str) -> Ended:
    """Run the step with the job's AWS credentials."""
    return github.run(
        folder,
        github.UVX,
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
    finding = {"id": "CVE-2026-7", "severity": "CRITICAL", "package": "openssl", "version": "3.0.1"}
    for number, platform in enumerate(image.platforms):
        stack.scan(image.repository, platform, findings=[finding] if number == 0 else [])

    ended = promote(stack, tmp_path, image, "gated")

    assert ended.code == 3
    assert (ended.outputs["outcome"], ended.outputs["code"]) == ("REFUSED", "gate_refused")
    assert "<code>CVE&#45;2026&#45;7</code>" in ended.summary
    assert "<code>openssl</code>" in ended.summary
    assert "::error title=ecr-promoter::gate_refused: " in ended.log
    assert "gated" not in stack.tags(image.repository)


def test_a_dry_run_of_the_action_moves_nothing(stack: Stack, image: Image, tmp_path: Path) -> None:
    """It says what would move."""
    ended = promote(stack, tmp_path, image, "prod", dry_run="true")

    assert (ended.code, ended.outputs["outcome"]) == (0, "PLANNED")
    assert "prod" not in stack.tags(image.repository)
