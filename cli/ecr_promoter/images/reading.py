"""Reads an image from Amazon ECR: its manifest, the images of an index, and their configs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecr_promoter.api import aws
from ecr_promoter.api.transport import Lost, Transport
from ecr_promoter.exits import Failed, Refused
from ecr_promoter.images.findings import Findings, read_findings
from ecr_promoter.references import Place

MEDIA_TYPES = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]
LARGEST_CONFIG = 8_000_000  # bytes
MOST_IMAGE_IDS = 100
"""The most image ids that BatchGetImage takes (Amazon ECR API reference)."""


@dataclass(frozen=True)
class Layer:
    """A layer by its digest, with its size in bytes as it is stored."""

    digest: str
    size: int


@dataclass(frozen=True)
class PlatformImage:
    """The image of one platform."""

    platform: str
    digest: str
    layers: tuple[Layer, ...]
    created: str | None
    labels: Mapping[str, str]
    findings: Findings


@dataclass(frozen=True)
class Image:
    """What a tag or digest is on: an image, or an index of several."""

    name: str
    digest: str
    media_type: str
    pushed_at: str | None
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    platforms: Mapping[str, PlatformImage] = field(default_factory=dict)


class Reader:
    """Reads images of one registry with the caller's own rights."""

    def __init__(self, ecr: Any, transport: Transport) -> None:
        self._ecr, self._transport = ecr, transport

    def read(self, place: Place, image_id: Mapping[str, str]) -> Image:
        """Return an image with all its platforms. Raises Refused or Failed.

        Amazon ECR takes manifests and configs of any shape, so whoever may push decides what is read here.
        """
        try:
            return self._read(place, image_id)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise Failed(
                f"{named(place, image_id)} cannot be compared: its manifest or config is not that of an image."
            ) from error

    def _read(self, place: Place, image_id: Mapping[str, str]) -> Image:
        found = self._manifests(place, [dict(image_id)])[0]
        manifest = json.loads(found["imageManifest"])
        described = self._described(place, found["imageId"]["imageDigest"])
        if "manifests" in manifest:
            platforms = self._children(place, manifest)
        else:
            only = self._platform(place, None, found["imageId"]["imageDigest"], manifest)
            platforms = {only.platform: only}
        return Image(
            name=named(place, image_id),
            digest=found["imageId"]["imageDigest"],
            media_type=found.get("imageManifestMediaType") or manifest.get("mediaType", ""),
            pushed_at=described["imagePushedAt"].isoformat() if "imagePushedAt" in described else None,
            tags=tuple(described.get("imageTags", ())),
            labels=common_labels(texts(manifest.get("annotations")), platforms),
            platforms=platforms,
        )

    def _children(self, place: Place, index: Mapping[str, Any]) -> dict[str, PlatformImage]:
        """Return the images of an index; its attestations are left out, as they run nowhere."""
        entries = {entry["digest"]: platform_of(entry.get("platform")) for entry in index["manifests"]}
        wanted = [digest for digest, platform in entries.items() if platform != "unknown/unknown"]
        read: dict[str, PlatformImage] = {}
        for first in range(0, len(wanted), MOST_IMAGE_IDS):
            ids = [{"imageDigest": digest} for digest in wanted[first : first + MOST_IMAGE_IDS]]
            for each in self._manifests(place, ids):
                digest = each["imageId"]["imageDigest"]
                manifest = json.loads(each["imageManifest"])
                read[digest] = self._platform(place, entries[digest], digest, manifest)
        return {read[digest].platform: read[digest] for digest in wanted if digest in read}

    def _platform(
        self, place: Place, platform: str | None, digest: str, manifest: Mapping[str, Any]
    ) -> PlatformImage:
        config = self._config(place, manifest.get("config", {}))
        return PlatformImage(
            platform=platform or platform_of(config),
            digest=digest,
            layers=tuple(Layer(each["digest"], each.get("size", 0)) for each in manifest.get("layers", ())),
            created=f"{config['created']}" if config.get("created") else None,
            labels=labels_of(config) | texts(manifest.get("annotations")),
            findings=read_findings(self._ecr, place, digest),
        )

    def _manifests(self, place: Place, ids: list[dict[str, str]]) -> list[dict[str, Any]]:
        with aws.explain_errors():
            answer = self._ecr.batch_get_image(**place.members(), imageIds=ids, acceptedMediaTypes=MEDIA_TYPES)
        if answer["failures"]:
            failure = answer["failures"][0]
            name = named(place, failure.get("imageId", ids[0]))
            raise Refused(f"{name} cannot be read: {failure.get('failureReason') or failure.get('failureCode')}.")
        return list(answer["images"])

    def _described(self, place: Place, digest: str) -> dict[str, Any]:
        with aws.explain_errors():
            answer = self._ecr.describe_images(**place.members(), imageIds=[{"imageDigest": digest}])
        return dict(answer["imageDetails"][0]) if answer["imageDetails"] else {}

    def _config(self, place: Place, descriptor: Mapping[str, Any]) -> dict[str, Any]:
        """Return an image's config; an empty one for what is not an image."""
        media_type = descriptor.get("mediaType", "")
        if "image" not in media_type or descriptor.get("size", 0) > LARGEST_CONFIG:
            return {}
        with aws.explain_errors():
            url = self._ecr.get_download_url_for_layer(**place.members(), layerDigest=descriptor["digest"])[
                "downloadUrl"
            ]
        try:
            config = json.loads(self._transport.get(url, {}).body)
        except Lost:  # its message has the address, with which everybody could download the config
            raise Failed(f"The config of an image in {place.name} cannot be downloaded. Try again.") from None
        except ValueError as error:
            raise Failed(f"The config of an image in {place.name} cannot be read: {error}. Try again.") from error
        return config if isinstance(config, dict) else {}


def platform_of(members: Mapping[str, Any] | None) -> str:
    """Return a platform as people write it: linux/arm64/v8."""
    members = members or {}
    parts = [members.get("os") or "unknown", members.get("architecture") or "unknown", members.get("variant")]
    return "/".join(part for part in parts if part)


def labels_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an image's config."""
    return texts((config.get("config") or {}).get("Labels"))


def texts(members: Mapping[str, Any] | None) -> dict[str, str]:
    """Return members of which each is a text."""
    return {name: f"{value}" for name, value in (members or {}).items()}


def common_labels(annotations: Mapping[str, str], platforms: Mapping[str, PlatformImage]) -> dict[str, str]:
    """Return the labels that all platforms share, and the annotations of the index over them."""
    each = [set(platform.labels.items()) for platform in platforms.values()]
    return dict(set.intersection(*each) if each else ()) | dict(annotations)


def named(place: Place, image_id: Mapping[str, str]) -> str:
    """Return an image as people write it."""
    digest = f"@{image_id['imageDigest']}" if image_id.get("imageDigest") else ""
    tag = f":{image_id['imageTag']}" if image_id.get("imageTag") else ""
    return f"{place.name}{tag}{'' if tag else digest}"
