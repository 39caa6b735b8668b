"""The environment variables of the functions: the stack writes them, promoter.settings reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from promoter.settings import AnnouncerSettings, EventSettings, RunSettings, Settings
from tests.infra.conftest import REGION, Template, functions


class Environment(Mapping[str, str]):
    """A function's variables, which notes those that are read; `AWS_REGION` comes from Lambda."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        # CloudFormation fills in references when it deploys.
        texts = {name: value if isinstance(value, str) else "reference" for name, value in variables.items()}
        self._variables = texts | {"AWS_REGION": REGION}
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


@pytest.mark.parametrize(
    ("handler", "settings"),
    [
        ("lambda_handler", [Settings, EventSettings]),
        ("reconcile_handler", [Settings, RunSettings]),
        ("announce_handler", [AnnouncerSettings]),
    ],
)
def test_a_function_gets_the_variables_that_it_reads(
    template: Template, handler: str, settings: list[Any]
) -> None:
    """A misspelt name would stop the function at its first invocation; one that nothing reads has no effect."""
    environment = Environment(functions(template)[handler]["Environment"]["Variables"])

    for each in settings:
        each.read(environment)

    assert {name for name in environment if name.startswith("PROMOTER_")} <= environment.read
