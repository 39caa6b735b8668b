"""Jobs of CI systems that wait, with the real command line: what it tells is what the jobs report."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cli.conftest import DIGEST, ID, FakeApi, record, waiting
from tests.support import github, gitlab
from tests.support.runners import UVX

STATUS = f"GET /promotions/{ID}"


@pytest.fixture
def pending(api: FakeApi) -> FakeApi:
    """An API whose promotion waits for a scan."""
    return api.answer("POST /promotions", waiting("scan_pending"), 202)


def in_github(api: FakeApi, folder: Path, timeout: str) -> github.Ended:
    """Run the action with the job's AWS credentials."""
    known = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    return github.run(
        folder,
        UVX,
        environment=known,
        repository="team/web",
        source="build-42",
        api_url=api.url,
        wait="true",
        timeout=timeout,
    )


def in_gitlab(api: FakeApi, folder: Path, timeout: str) -> gitlab.Ended:
    """Run the component with the job's token."""
    return gitlab.run(
        folder, UVX, repository="team/web", source="build-42", api_url=api.url, wait=True, timeout=timeout
    )


def test_the_github_action_waits_for_the_scan(pending: FakeApi, tmp_path: Path) -> None:
    """The summary says what it waited for and what moved."""
    pending.answer(STATUS, record())

    ended = in_github(pending, tmp_path, timeout="")

    assert (ended.code, ended.outputs["outcome"], ended.outputs["digest"]) == (0, "PROMOTED", DIGEST)
    summary = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), ended.summary)
    assert "What it waited for:\n\n- waiting for scan_pending, until 2026-11-25 10:00:00Z at most\n" in summary
    assert "<code>PROMOTED</code>" in summary
    assert pending.asked[0].document["wait"] is True


def test_the_github_action_stops_looking_at_its_time_out(pending: FakeApi, tmp_path: Path) -> None:
    """The step fails with exit code 5, and the next steps can follow the promotion."""
    pending.answer(STATUS, waiting("scan_pending"))

    ended = in_github(pending, tmp_path, timeout="1s")

    assert (ended.code, ended.outputs["outcome"], ended.outputs["promotion-id"]) == (5, "WAITING", ID)
    assert f"Follow it: ecr-promoter status {ID} --wait" in ended.log


def test_the_component_of_gitlab_waits_for_the_scan(pending: FakeApi, tmp_path: Path) -> None:
    """The log says what it waits for."""
    pending.answer(STATUS, record())

    ended = in_gitlab(pending, tmp_path, timeout="")

    assert (ended.code, ended.variables["PROMOTER_OUTCOME"]) == (0, "PROMOTED")
    assert ended.variables["PROMOTER_DIGEST"] == DIGEST
    assert "waiting for scan_pending, until 2026-11-25 10:00:00Z at most\n" in ended.log
    assert pending.asked[0].document["wait"] is True


def test_the_component_of_gitlab_stops_looking_at_its_time_out(pending: FakeApi, tmp_path: Path) -> None:
    """The job fails with exit code 5, and later jobs can follow the promotion."""
    pending.answer(STATUS, waiting("scan_pending"))

    ended = in_gitlab(pending, tmp_path, timeout="1s")

    assert (ended.code, ended.variables["PROMOTER_OUTCOME"]) == (5, "WAITING")
    assert ended.variables["PROMOTER_PROMOTION_ID"] == ID
    assert f"ecr-promoter status {ID} --wait" in ended.log
