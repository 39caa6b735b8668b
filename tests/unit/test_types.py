"""mypy reads every module of the CDK that is used here: what it does not read it takes for Any."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CDK = [Path(folder) for folder in getattr(find_spec("aws_cdk"), "submodule_search_locations", [])]
FOLDERS = ("bench", "infra", "lambda", "local", "tests")
ALWAYS = {"aws_cdk", "aws_cdk.interfaces.*"}  # CDK's own modules import these


def test_each_module_of_the_cdk_that_is_imported_is_read() -> None:
    """The list in pyproject.toml has each of them, and no other."""
    files = [PROJECT / "app.py", *(file for folder in FOLDERS for file in (PROJECT / folder).rglob("*.py"))]
    used = {name for file in files for name in modules(ast.parse(file.read_text()))}

    overrides = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (read,) = [set(each["module"]) for each in overrides if each.get("follow_imports") == "normal"]
    assert read == used | ALWAYS


def modules(tree: ast.Module) -> Iterator[str]:
    """Return the modules below aws_cdk that a file imports, or reaches through `import aws_cdk as cdk`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "aws_cdk":
            yield from (f"aws_cdk.{alias.name}" for alias in node.names if is_module(alias.name))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aws_cdk."):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("aws_cdk."))
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "cdk" and is_module(node.attr):
            yield f"aws_cdk.{node.attr}"


def is_module(name: str) -> bool:
    """Say whether a name of aws_cdk is a module."""
    return any((folder / name).is_dir() for folder in CDK)
