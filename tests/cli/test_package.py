"""What is built and installed: the command line, and nothing of the service."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts import github_action

PROJECT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text())


SECRETS = (".env", "credentials", "notes.txt", "commands/.envrc")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with wheel and sdist, built without a network: what builds them is pinned and installed.

    They are built from a copy of the project in which somebody has left files with secrets.
    """
    folder, copy = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("copy")
    for name in ("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", ".gitignore"):
        shutil.copy(PROJECT / name, copy)
    shutil.copytree(PROJECT / "cli", copy / "cli")
    for name in ("lambda", "infra", "tests"):
        (copy / name).mkdir()
        (copy / name / "code.py").touch()
    for name in SECRETS:
        (copy / "cli" / "ecr_promoter" / name).write_text("secret")
    line = [
        str(Path(sys.executable).with_name("uv")),
        "build",
        "--quiet",
        "--offline",
        "--no-build-isolation",
        "--python",
        sys.executable,
    ]
    subprocess.run([*line, "--out-dir", str(folder), str(copy)], check=True)
    return folder


def test_files_that_somebody_left_are_in_neither(built: Path) -> None:
    """A file .env among the sources would be published."""
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as in_wheel, tarfile.open(sdist) as in_sdist:
        names = [*in_wheel.namelist(), *in_sdist.getnames()]

    assert not [name for name in names if name.endswith(SECRETS)]


def test_the_wheel_has_the_command_line_only(built: Path) -> None:
    """And the program that it installs."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entries = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()

    version = SETTINGS["project"]["version"]
    assert {name.split("/")[0] for name in names} == {"ecr_promoter", f"ecr_promoter-{version}.dist-info"}
    assert "ecr-promoter = ecr_promoter.__main__:main" in entries
    sources = {path.relative_to(PROJECT / "cli").as_posix() for path in (PROJECT / "cli").rglob("*.py")}
    assert sources <= set(names)


def test_the_sdist_has_what_builds_the_wheel(built: Path) -> None:
    """The sources, the license, and no policy and no infrastructure."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        folders = {name.split("/")[1] for name in archive.getnames() if "/" in name}

    assert {"cli", "pyproject.toml", "LICENSE", "README.md"} <= folders
    assert not folders & {"lambda", "infra", "local", "tests", "promotions.yaml"}


def test_what_builds_is_pinned_once() -> None:
    """The version of pyproject.toml is the one that requirements-dev.in has."""
    (build,) = SETTINGS["build-system"]["requires"]

    assert build in (PROJECT / "requirements-dev.in").read_text()


def test_the_pinned_versions_are_ones_that_users_may_have() -> None:
    """The tests run with versions that the package allows."""
    for text in SETTINGS["project"]["dependencies"]:
        requirement = Requirement(text)
        assert metadata.version(requirement.name) in requirement.specifier


def test_the_action_installs_what_the_package_needs() -> None:
    """What pyproject.toml asks for is what `make pins` resolves for the GitHub action, for the same Pythons."""
    project = SETTINGS["project"]
    lines = (PROJECT / "cli" / "requirements.in").read_text().splitlines()

    assert [line for line in lines if not line.startswith(("#", "-"))] == project["dependencies"]
    assert project["requires-python"] == github_action.PYTHONS
