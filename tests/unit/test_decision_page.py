"""The page about the decision names every way in which a promotion can end, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from promoter.domain import errors

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "explanation" / "decision.md").read_text()
DRAWING = PAGE.partition("```mermaid\n")[2].partition("\n```")[0]
PROSE = PAGE.replace(DRAWING, "")
STAGES = ("Accept", "Resolve", "Decide", "Read", "Judge", "Lease", "Put", "Record", "Wait")
STATUS = {
    kind.code: kind.http_status
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.PromoterError) and hasattr(kind, "code")
}


def drawn(part: str = DRAWING) -> set[tuple[int, str]]:
    """Return the exits in the drawing, each with its status and code."""
    return {(int(status), code) for status, code in re.findall(r"\b(\d{3}) ([a-z_]+)", part)}


def drawn_in(stage: str) -> set[str]:
    """Return the codes at the exits of one stage."""
    part = DRAWING.partition(f"subgraph {stage.lower()} [{stage}]")[2].partition("\n  end\n")[0]
    return {code for _, code in drawn(part)}


def column(heading: str, first: str) -> set[str]:
    """Return the names in the first column of the table under a heading."""
    section = PROSE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = section.partition(f"| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def reasons_in(source: str) -> Iterator[str]:
    """Yield the codes that a module gives to the reasons it makes: `Reason("…")`, and names called code."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="Reason"), args=[ast.Constant(value=str(code)), *_]):
                yield code
            case ast.Call(keywords=keywords):
                yield from (each.value.value for each in keywords if is_code(each.arg, each.value))  # type: ignore[attr-defined]
            case ast.FunctionDef(args=ast.arguments(args=names, defaults=[*_, ast.Constant(value=str(code))])):
                if names[-1].arg == "code":
                    yield code
            case ast.Assign(
                targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])],
                value=ast.Tuple(elts=[ast.Constant(value=str(code)), *_]),
            ):
                yield code
            case ast.Assign(targets=[ast.Name(id="PENDING" | "MORE")], value=ast.Constant(value=str(code))):
                yield code


def is_code(name: str | None, value: ast.expr) -> bool:
    return name == "code" and isinstance(value, ast.Constant) and isinstance(value.value, str)


def reasons() -> set[str]:
    """Return every code of a reason that the policy, the gate and the use case can give."""
    folders = [PROJECT / "lambda" / "promoter" / name for name in ("domain", "promotion")]
    sources = [file.read_text() for folder in folders for file in sorted(folder.rglob("*.py"))]
    return {code for source in sources for code in reasons_in(source)}


def test_every_error_stands_on_the_page() -> None:
    """Those that end a promotion in the drawing, the others in the text; under the names that callers see."""
    told = {code for _, code in drawn()} | set(re.findall(r"`([a-z_]+)`", PROSE))

    assert told >= STATUS.keys()


def test_no_error_stands_there_that_does_not_exist() -> None:
    """Neither in the drawing, nor in a table, nor in the text; each has its own status."""
    assert {code: status for status, code in drawn()}.items() <= STATUS.items()
    for stage in STAGES:
        assert column(stage, "code") <= STATUS.keys(), stage
    for code, status in re.findall(r"`([a-z_]+)` \((\d{3})\)", PROSE):
        assert STATUS[code] == int(status)
    assert set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PROSE)) <= STATUS.keys() | reasons()


@pytest.mark.parametrize("stage", STAGES)
def test_each_exit_of_a_stage_is_explained(stage: str) -> None:
    """The table of a stage has the same codes as its exits in the drawing."""
    assert column(stage, "code") == drawn_in(stage) != set()


def test_every_reason_stands_on_the_page() -> None:
    """With what it means for a request and for an event; and no reason that does not exist."""
    assert {"finding", "scan_pending", "unreadable_image", "rule", "frozen"} <= reasons()
    assert column("Judge", "reason") == reasons()
