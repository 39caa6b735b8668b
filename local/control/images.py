"""Stores a manifest without a push, for tests: `POST /_local/images`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert, field

from local.ecr import events, values
from local.ecr.images import push
from local.ecr.manifests import parse, parse_anything
from local.ecr.store import repository


class ImageRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The manifest to store, as base64, and its tags.

    assumeReferences: accept any bytes, and do not require the layers and images that they refer to.
    announce: also send the event of a push.
    """

    repository_name: str
    manifest_base64: bytes
    image_manifest_media_type: str
    image_tag: str | None = None
    image_tags: list[str] = field(default_factory=list)
    assume_references: bool = True
    announce: bool = False


def put(body: Any) -> dict[str, Any]:
    """Store the manifest. Raises msgspec.ValidationError, which names the member that is wrong, and EcrError."""
    request = convert(body, ImageRequest)
    found = repository({"repositoryName": request.repository_name})
    tag = values.tag(request.image_tag) if request.image_tag else None
    if not request.assume_references:
        image = push(found, parse(request.manifest_base64, request.image_manifest_media_type), tag)
    else:
        image = found.add(parse_anything(request.manifest_base64, request.image_manifest_media_type), tag)
        if request.announce:
            events.pushed(found.name, image.manifest, tag)
    for more in request.image_tags:
        found.add(image.manifest, values.tag(more))
    return {"repositoryName": found.name, "imageDigest": image.manifest.digest}
