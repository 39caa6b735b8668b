"""PutImage and BatchGetImage (Amazon ECR API reference), and the rules of a push, which the registry shares."""

from __future__ import annotations

import re
from typing import Any

from local.ecr import events, values
from local.ecr.errors import EcrError, ImageNotFound, InvalidParameter
from local.ecr.manifests import Manifest, parse, translated
from local.ecr.repositories import is_immutable
from local.ecr.store import Image, Repository, repository

TAGS_OF_AN_IMAGE = 1000


def put(request: dict[str, Any]) -> dict[str, Any]:
    """PutImage. Stores the bytes unchanged, and computes their digest instead of trusting the request's."""
    found = repository(request)
    text = values.required(request, "imageManifest")
    tag = values.tag(request["imageTag"]) if request.get("imageTag") is not None else None
    body = text.encode()
    if len(body) > values.MANIFEST_BYTES:
        raise InvalidParameter("imageManifest", f"must have length between 1 and {values.MANIFEST_BYTES}")
    manifest = parse(body, request.get("imageManifestMediaType"))
    if request.get("imageDigest") not in (None, manifest.digest):
        raise EcrError(
            "ImageDigestDoesNotMatchException",
            f"The specified image digest '{request['imageDigest']}' does not match"
            f" the digest that Amazon ECR calculated for the image: '{manifest.digest}'",
        )
    image = found.images.get(manifest.digest)
    active = image and image.status == "ACTIVE"  # a push of an archived image restores it
    if active and image and not (tag and (tag not in image.tags or is_immutable(found.settings, tag))):
        raise EcrError(
            "ImageAlreadyExistsException",
            f"Image with digest '{manifest.digest}' and tag '{tag or 'null'}' already exists in the repository"
            f" with name '{found.name}' in registry with id '{found.registry_id}'",
        )
    stored = push(found, manifest, tag)
    return {"image": _answer(found, stored, tag, stored.manifest.text, stored.manifest.media_type)}


def push(found: Repository, manifest: Manifest, tag: str | None) -> Image:
    """Store a manifest if ECR's rules allow it, and send the event. Raises EcrError."""
    known, tagged = found.images.get(manifest.digest), found.tagged(tag or "")
    restores = bool(known and known.status != "ACTIVE" and tagged is known)
    if tag and tagged and not restores and is_immutable(found.settings, tag):
        # Refused for the same digest too, as users report of immutable repositories (aws/containers-roadmap#2179).
        raise EcrError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{found.name}' repository"
            " and cannot be overwritten because the tag is immutable.",
        )
    if not known:  # the references of a stored image exist: ECR does not delete them before the image
        _require_references(found, manifest)
    if known and tag not in (None, *known.tags) and len(known.tags) >= TAGS_OF_AN_IMAGE:
        raise EcrError(
            "LimitExceededException",
            f"The image with digest '{manifest.digest}' has the maximum number of tags: {TAGS_OF_AN_IMAGE}",
        )
    image = found.add(manifest, tag)
    events.pushed(found.name, image.manifest, tag)
    return image


def batch_get(request: dict[str, Any]) -> dict[str, Any]:
    """BatchGetImage: an image or a failure for each id, in an HTTP 200 either way."""
    found = repository(request)
    accepted = request.get("acceptedMediaTypes") or []
    images, failures = [], []
    for image_id in values.listed(request, "imageIds", 100):
        if failure := failure_of(found, image_id) or _unreadable(found, image_id):
            failures.append({"imageId": image_id, **failure})
            continue
        image, tag = found.find(image_id), image_id.get("imageTag")
        text, media_type = image.manifest.text, image.manifest.media_type
        if not image_id.get("imageDigest"):
            # ECR translates by tag only. The answered digest is still that of the stored image (not verified with
            # AWS), so it is not the digest of the answered bytes. A caller has to notice this.
            text, media_type = translated(image.manifest, accepted)
        images.append(_answer(found, image, tag, text, media_type))
    return {"images": images, "failures": failures}


def failure_of(found: Repository, image_id: dict[str, str]) -> dict[str, str] | None:
    """Return the failure of an id without an image; None if the image exists."""
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    if not digest and not tag:
        return _failure("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
    if digest and not re.fullmatch(values.DIGEST, digest):
        return _failure(
            "InvalidImageDigest",
            f"Invalid request parameters: image digest should satisfy the regex '{values.DIGEST}'",
        )
    if tag and not re.fullmatch(values.TAG, tag):
        return _failure(
            "InvalidImageTag", f"Invalid request parameters: image tag should satisfy the regex '{values.TAG}'"
        )
    if digest and tag and found.tagged(tag) not in (None, found.images.get(digest)):
        return _failure("ImageTagDoesNotMatchDigest", "Requested image tag does not match the requested digest")
    try:
        found.find(image_id)
    except ImageNotFound:
        return _failure("ImageNotFound", "Requested image not found")
    return None


def _unreadable(found: Repository, image_id: dict[str, str]) -> dict[str, str] | None:
    """Return the failure of an image that exists and cannot be read; None if it can be read."""
    if code := found.failures.get(image_id.get("imageTag", "")):
        return _failure(code, "Set by POST /_local/failures")
    if found.find(image_id).status != "ACTIVE":
        # The code is not documented. This is the closest one of the service model.
        return _failure("ImageInaccessible", "Requested image is archived")
    return None


def _failure(code: str, reason: str) -> dict[str, str]:
    return {"failureCode": code, "failureReason": reason}


def _answer(found: Repository, image: Image, tag: str | None, text: str, media_type: str) -> dict[str, Any]:
    return {
        **found.identity,
        "imageId": {"imageDigest": image.manifest.digest, **({"imageTag": tag} if tag else {})},
        "imageManifest": text,
        "imageManifestMediaType": media_type,
    }


def _require_references(found: Repository, manifest: Manifest) -> None:
    where = f"repository with name '{found.name}' in the registry with id '{found.registry_id}'"
    if missing := [digest for digest in manifest.children if digest not in found.images]:
        raise EcrError(
            "ReferencedImagesNotFoundException",
            f"Images with digests '[{', '.join(missing)}]' required for pushing image into {where} do not exist",
        )
    if missing := [digest for digest in manifest.blobs if digest not in found.blobs]:
        raise EcrError(
            "LayersNotFoundException",
            f"Layers with digests '[{', '.join(missing)}]' required for pushing image into {where} do not exist",
        )
