"""Manifests and events that real tools and AWS's own documents made, where PROMOTER_CORPUS names their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("PROMOTER_CORPUS", "nowhere"))


def files(folder: str) -> list[Path]:
    """Return the folder's JSON files; one that does not exist stands for a corpus that is not there."""
    return sorted((CORPUS / folder).rglob("*.json")) or [Path("no corpus")]


def name(file: Path) -> str:
    """Return how a test case is named."""
    return str(file.relative_to(CORPUS)) if file.is_relative_to(CORPUS) else str(file)


@pytest.fixture(autouse=True)
def corpus() -> Path:
    """Skip where there is no corpus."""
    if not CORPUS.is_dir():
        pytest.skip("PROMOTER_CORPUS names no folder")
    return CORPUS
