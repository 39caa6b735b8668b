"""A promotion as people see it: what moved from where to where, what is in the way, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecr_promoter.output.tables import moment, of_members, of_rows, principal, short

if TYPE_CHECKING:
    from rich.console import RenderableType

REASONS = ("platform", "severity", "vulnerability", "package", "fixedIn")


def answered(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show the answer to a promotion: each tag, then why it was refused or what it waits for."""
    if "code" in document:
        yield from refused(document)
        return
    if document.get("outcome") == "WAITING":
        yield waiting(document)
    if images := document.get("images"):
        yield moves(images, document.get("imageDigest"))
    yield of_members(
        {
            "promotion": document.get("promotionId"),
            "rule": document.get("rule"),
            "undoes": document.get("undoes"),
        }
    )


def waiting(document: Mapping[str, Any]) -> RenderableType:
    """Show what a promotion waits for, and how long at most."""
    return of_members(
        {
            "outcome": "WAITING",
            "waiting for": document.get("waitingFor"),
            "until": moment(document.get("waitsUntil")),
        }
    )


def moves(images: Iterable[Mapping[str, Any]], digest: str | None = None) -> RenderableType:
    """Show what became of each tag, in the shapes of both the answer and the record."""
    rows = []
    for image in images:
        named = image.get("imageId", image)
        now, before = named.get("imageDigest") or digest, image.get("previousDigest")
        rows.append((image.get("outcome"), named.get("imageTag"), short(before) or "(new)", short(now)))
    return of_rows(("outcome", "tag", "from", "to"), rows)


def refused(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show the reasons of a refusal; what they have in columns is not repeated in the sentence."""
    reasons = document.get("reasons", ())
    findings = [each for each in reasons if each.get("vulnerability")]
    others = [each for each in reasons if not each.get("vulnerability")]
    if findings:
        rows = [[each.get(name) for name in REASONS] for each in findings]
        yield of_rows(("platform", "severity", "finding", "package", "fixed in"), rows)
    if len(others) > 1 or (others and findings):
        rows = [[each.get("code"), each.get("rule"), sentence(each)] for each in others]
        yield of_rows(("reason", "rule", "detail"), rows)
    if images := document.get("images"):
        yield moves(images, document.get("imageDigest"))


def sentence(reason: Mapping[str, Any]) -> str:
    """Return the sentence of a reason without the name of its rule, which has a column."""
    return str(reason.get("detail", "")).removeprefix(f"{reason.get('rule')}: ")


def record(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show all that is known of one promotion."""
    source = document.get("source", {})
    known = {
        "promotion": document.get("promotionId"),
        "outcome": document.get("outcome") or "running",
        "waiting for": document.get("waitingFor"),
        "waits until": moment(document.get("waitsUntil")),
        "code": document.get("code"),
        "detail": document.get("detail"),
        "repository": document.get("repositoryName"),
        "source": source.get("imageTag") or short(source.get("imageDigest")),
        "image": document.get("imageDigest"),
        "rule": document.get("rule"),
        "trigger": document.get("trigger"),
        "caller": document.get("caller"),
        "undoes": document.get("undoes"),
        "override": (document.get("override") or {}).get("reason"),
        "asked at": moment(document.get("askedAt")),
        "ended at": moment(document.get("endedAt")),
    }
    yield of_members(known)
    if "code" in document:
        yield from refused(document)
    elif images := document.get("images"):
        yield moves(images, document.get("imageDigest"))


def listed(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show a list of promotions."""
    columns = ("ended at", "outcome", "repository", "source", "tags", "image", "why", "promotion")
    rows = [
        (
            moment(each.get("endedAt")) or waits(each),
            each.get("outcome"),
            each.get("repositoryName"),
            each.get("source", {}).get("imageTag") or short(each.get("source", {}).get("imageDigest")),
            [image["imageTag"] for image in each.get("images", ())] or each.get("imageTags"),
            short(each.get("imageDigest")),
            each.get("code") or each.get("waitingFor") or each.get("rule"),
            each.get("promotionId"),
        )
        for each in document["promotions"]
    ]
    yield of_rows(columns, rows)


def waits(each: Mapping[str, Any]) -> str | None:
    """Return until when a promotion waits."""
    until = moment(each.get("waitsUntil"))
    return f"until {until}" if until else None


def history(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show the time line of a tag."""
    rows = [
        (
            moment(each.get("endedAt")),
            each.get("outcome"),
            short(image.get("previousDigest")) or "(new)",
            short(image.get("imageDigest") or each.get("imageDigest")),
            "rollback" if each.get("undoes") else each.get("code") or each.get("rule"),
            principal(each.get("caller")) or each.get("trigger"),
            each.get("promotionId"),
        )
        for each in document["promotions"]
        for image in each.get("images") or [{"previousDigest": "-"}]
    ]
    yield of_rows(("ended at", "outcome", "from", "to", "why", "by", "promotion"), rows)
