"""What differs between two images, as people see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecr_promoter.output.tables import moment, of_members, of_rows, short

if TYPE_CHECKING:
    from rich.console import RenderableType

STANDARD = "org.opencontainers.image."
UNITS = ("B", "KB", "MB", "GB", "TB")


def shown(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show the two images side by side, then what one has and the other has not."""
    first, second = document["first"], document["second"]
    rows: list[tuple[str, Any, Any]] = [
        ("image", short(first["imageDigest"]), short(second["imageDigest"])),
        ("created", moment(first["createdAt"]), moment(second["createdAt"])),
        ("pushed", moment(first["pushedAt"]), moment(second["pushedAt"])),
        ("platforms", first["platforms"], second["platforms"]),
        ("size", size(first["size"]), size(second["size"])),
    ]
    labels = {each["name"]: each for each in document["labels"]}
    for name in dict.fromkeys([*first["labels"], *second["labels"], *labels]):
        known = labels.get(name) or {"first": first["labels"].get(name), "second": second["labels"].get(name)}
        rows.append((name.removeprefix(STANDARD), known["first"], known["second"]))
    yield of_rows(("", first["name"], second["name"]), rows)
    if document["identical"]:
        yield of_members({"identical": "both are the same image"})
        return
    yield from platforms(document["platforms"])
    yield from findings(document)


def platforms(entries: list[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Show which layers the images share."""
    rows = [
        (
            each["platform"],
            "the same" if each["identical"] else presence(each),
            layers(each["layers"], "shared"),
            layers(each["layers"], "onlyFirst"),
            layers(each["layers"], "onlySecond"),
        )
        for each in entries
    ]
    yield of_rows(("platform", "image", "layers in both", "only in the first", "only in the second"), rows)


def presence(each: Mapping[str, Any]) -> str:
    """Return which of the two images has a platform."""
    if each["first"] is None:
        return "only in the second"
    return "differs" if each["second"] else "only in the first"


def layers(counts: Mapping[str, int], which: str) -> str:
    """Return how many layers, and how many bytes."""
    return f"{counts[which]} ({size(counts[f'{which}Bytes'])})"


def findings(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Show the findings that only one image has, and where nothing is known."""
    found = document["findings"]
    rows = [
        (document[which]["name"], each["severity"], each["vulnerability"], each["package"], each["fixedIn"])
        for which, member in (("first", "onlyFirst"), ("second", "onlySecond"))
        for each in found[member]
    ]
    if rows:
        yield of_rows(("only in", "severity", "finding", "package", "fixed in"), rows)
    elif not found["unknown"]:
        yield of_members({"findings": "both have the same"})
    if found["unknown"]:
        unknown = [(each["name"], each["platform"], each["status"]) for each in found["unknown"]]
        yield of_rows(("findings not known of", "platform", "because"), unknown)


def size(count: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit in UNITS:
        if count < 1000 or unit == UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""
