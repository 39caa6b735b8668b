"""The how-to pages about CI systems: what they show is accepted. tests/e2e/test_ci_systems.py runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.policy import check
from tests.support.snippets import HOW_TO

CI_SYSTEMS = ("github-actions", "gitlab-ci", "jenkins", "codebuild")


@pytest.mark.parametrize("system", CI_SYSTEMS)
def test_callers_of_the_page_are_valid(system: str, tmp_path: Path) -> None:
    """Also with `authorization: jwt`, where no entry may match the tokens of strangers."""
    page = (HOW_TO / f"promote-from-{system}.md").read_text()
    blocks = re.findall(r"^```yaml\n    (callers:.*?)^```$", page, re.DOTALL | re.MULTILINE)
    settings = ("-c", "authorization=jwt", "-c", "operators=arn:aws:sts::123456789012:assumed-role/operator/*")

    assert blocks
    for block in blocks:
        policy = tmp_path / "promotions.yaml"
        rule = "rules:\n  - name: prod\n    on: request\n    repositories: ['team/*']\n    to: [prod]\n    "
        policy.write_text(f"{rule}{block}")
        assert check.main([str(policy), *settings]) == 0


@pytest.mark.parametrize("system", CI_SYSTEMS)
def test_the_page_is_found_from_that_about_pipelines(system: str) -> None:
    """Whoever looks for their CI system begins there."""
    assert f"(promote-from-{system}.md)" in (HOW_TO / "promote-from-a-pipeline.md").read_text()
