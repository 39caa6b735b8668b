"""What differs between two images, as a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecr_promoter.images.findings import Finding, rank
from ecr_promoter.images.reading import Image, PlatformImage

STANDARD = "org.opencontainers.image."
"""The labels that say where an image comes from (OCI image specification, Annotations)."""


def compare(first: Image, second: Image) -> dict[str, Any]:
    """Return the two images, and what one has and the other has not."""
    names = list(dict.fromkeys([*first.platforms, *second.platforms]))
    return {
        "identical": first.digest == second.digest,
        "first": summary(first),
        "second": summary(second),
        "platforms": [
            compare_platform(name, first.platforms.get(name), second.platforms.get(name)) for name in names
        ],
        "labels": compare_labels(first.labels, second.labels),
        "findings": {
            "onlyFirst": only(first, second),
            "onlySecond": only(second, first),
            "unknown": unknown(first) + unknown(second),
        },
    }


def summary(image: Image) -> dict[str, Any]:
    """Return what one image is."""
    created = sorted(each.created for each in image.platforms.values() if each.created)
    return {
        "name": image.name,
        "imageDigest": image.digest,
        "mediaType": image.media_type,
        "imageTags": list(image.tags),
        "pushedAt": image.pushed_at,
        "createdAt": created[0] if created else None,
        "platforms": list(image.platforms),
        "size": sum(
            {layer.digest: layer.size for each in image.platforms.values() for layer in each.layers}.values()
        ),
        "labels": {name: value for name, value in image.labels.items() if name.startswith(STANDARD)},
    }


def compare_platform(name: str, first: PlatformImage | None, second: PlatformImage | None) -> dict[str, Any]:
    """Return which layers of a platform both images have."""
    ours = {layer.digest: layer.size for layer in first.layers} if first else {}
    theirs = {layer.digest: layer.size for layer in second.layers} if second else {}
    both = ours.keys() & theirs.keys()
    return {
        "platform": name,
        "first": first.digest if first else None,
        "second": second.digest if second else None,
        "identical": bool(first and second and first.digest == second.digest),
        "layers": {
            "shared": len(both),
            "onlyFirst": len(ours) - len(both),
            "onlySecond": len(theirs) - len(both),
            "sharedBytes": sum(ours[digest] for digest in both),
            "onlyFirstBytes": sum(size for digest, size in ours.items() if digest not in both),
            "onlySecondBytes": sum(size for digest, size in theirs.items() if digest not in both),
        },
    }


def compare_labels(first: Mapping[str, str], second: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the labels that differ, those of the OCI specification first."""
    names = sorted({*first, *second}, key=lambda name: (not name.startswith(STANDARD), name))
    return [
        {"name": name, "first": first.get(name), "second": second.get(name)}
        for name in names
        if first.get(name) != second.get(name)
    ]


def only(one: Image, other: Image) -> list[dict[str, Any]]:
    """Return the findings of one image that the other has not, the worst first. Each names its platforms."""
    known = {finding.key for each in other.platforms.values() for finding in each.findings.found}
    where: dict[Finding, list[str]] = {}
    for name, platform in one.platforms.items():
        for finding in platform.findings.found:
            if finding.key not in known:
                where.setdefault(finding, []).append(name)
    ordered = sorted(where, key=lambda finding: (rank(finding.severity), finding.key))
    return [
        {
            "vulnerability": finding.vulnerability,
            "package": finding.package,
            "severity": finding.severity,
            "fixedIn": finding.fixed_in,
            "platforms": where[finding],
        }
        for finding in ordered
    ]


def unknown(image: Image) -> list[dict[str, str]]:
    """Return the platforms of an image whose findings are not known, and why: they may have any."""
    return [
        {"name": image.name, "platform": name, "status": each.findings.status}
        for name, each in image.platforms.items()
        if not each.findings.is_known
    ]
