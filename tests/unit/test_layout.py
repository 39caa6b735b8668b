"""What the folders of code promise to those who import them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FOLDERS = ("bench", "cli", "infra", "lambda", "local", "tests")
PACKAGES = sorted(path for folder in FOLDERS for path in (PROJECT / folder).rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.parent.relative_to(PROJECT)))
def test_a_package_holds_a_docstring_and_nothing_else(package: Path) -> None:
    """Importing one module of it runs no code of the package."""
    tree = ast.parse(package.read_text())

    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def threshold_after(module: str) -> int:
    """Return after how many new objects a fresh interpreter looks for garbage once it has imported the module."""
    done = subprocess.run(
        [sys.executable, "-c", f"import gc, {module}; print(gc.get_threshold()[0])"],
        cwd=PROJECT / "lambda",
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_only_the_handler_slows_the_garbage_collector_down() -> None:
    """Who deploys or checks a policy imports modules of the function too, and keeps Python's default."""
    usual = threshold_after("json")

    assert threshold_after("promoter.domain.templates") == usual
    assert threshold_after("promoter.handler") > 100 * usual


FIND = "import sys, promoter; print(promoter.__path__[0], sys.path)"


def test_the_functions_code_is_found_wherever_python_starts(tmp_path: Path) -> None:
    """Set-up tells Python where it lies: make, editors and a shell need no PYTHONPATH."""
    done = subprocess.run(
        [sys.executable, "-c", FIND], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )

    assert done.stdout.startswith(str(PROJECT / "lambda" / "promoter")), done.stderr


def test_the_cdk_finds_it_in_an_environment_of_the_users_own(tmp_path: Path) -> None:
    """Without set-up, by cdk.json; what the user's own PYTHONPATH names is found as well."""
    command: str = json.loads((PROJECT / "cdk.json").read_text())["app"]
    assert command.endswith("python3 app.py")
    bare = command.replace("python3 app.py", f'"{sys.executable}" -S -c "{FIND}"')

    done = subprocess.run(
        ["sh", "-c", bare],
        cwd=PROJECT,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith(str(PROJECT / "lambda" / "promoter")), done.stderr
    assert str(tmp_path) in done.stdout
