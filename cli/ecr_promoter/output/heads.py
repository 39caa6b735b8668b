"""Where tags are, and what is frozen, as people see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecr_promoter.output.tables import moment, of_members, of_rows, principal, short

if TYPE_CHECKING:
    from rich.console import RenderableType


def listed(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show each tag, and where somebody else has moved it."""
    rows = [
        (
            head["imageTag"],
            short(head.get("imageDigest")),
            moment(head.get("movedAt")),
            drift(head),
            head.get("promotionId"),
        )
        for head in document["heads"]
    ]
    yield of_rows(("tag", "image", "since", "in the registry", "promotion"), rows)


def drift(head: Mapping[str, Any]) -> str:
    """Return what the registry says of a tag."""
    if head.get("drift") is None:
        return f"unreadable: {head.get('unreadable', '')}"
    if not head["drift"]:
        return "the same"
    return f"moved to {short(head['registryDigest'])}" if head.get("registryDigest") else "gone"


def freezes(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show what is frozen."""
    columns = ("repositories", "rule", "ends", "reason", "by", "since")
    rows = [
        (
            each.get("repositories"),
            each.get("rule"),
            moment(each.get("until")) or "until lifted",
            each.get("reason"),
            principal(each.get("by")),
            moment(each.get("since")),
        )
        for each in document["freezes"]
    ]
    yield of_rows(columns, rows)


def lifted(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show whether there was a freeze to lift."""
    yield of_members({"lifted": "yes" if document.get("lifted") else "no: there was no such freeze"})


def reconciled(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show what a run of reconcile did."""
    yield of_members(
        {
            "recovered promotions": document.get("settled") or "none",
            "waits that ended": str(document.get("finished", 0)),
            "waits that go on": str(document.get("waiting", 0)),
            "tags that drifted": str(len(document.get("drifted", ()))),
        }
    )
    if drifted := document.get("drifted"):
        rows = [
            (
                each.get("repositoryName"),
                each.get("imageTag"),
                short(each.get("recordedDigest")),
                short(each.get("registryDigest")) or "gone",
            )
            for each in drifted
        ]
        yield of_rows(("repository", "tag", "by the ledger", "in the registry"), rows)
    if failures := document.get("failures"):
        yield of_rows(("failed",), [[each] for each in failures])
