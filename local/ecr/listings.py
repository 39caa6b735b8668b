"""The operations that list, describe and delete images (Amazon ECR API reference)."""

from __future__ import annotations

from typing import Any

from local.ecr import events, values
from local.ecr.images import failure_of
from local.ecr.store import Image, Repository, repository


def describe_images(request: dict[str, Any]) -> dict[str, Any]:
    """DescribeImages: the images of the request's ids, or a page of all images. Raises ImageNotFound."""
    found = repository(request)
    if request.get("imageIds"):
        asked = [found.find(image_id) for image_id in values.listed(request, "imageIds", 100)]
        once = {image.manifest.digest: image for image in asked}
        return {"imageDetails": [_detail(found, image) for image in once.values()]}
    shown, more = values.page(_filtered(found, request), request, default=100, most=1000)
    return {"imageDetails": [_detail(found, image) for image in shown], **more}


def list_images(request: dict[str, Any]) -> dict[str, Any]:
    """ListImages: an id for each tag, and one for each image without a tag."""
    found = repository(request)
    ids = [
        {"imageDigest": image.manifest.digest, **tagged}
        for image in _filtered(found, request)
        for tagged in [{"imageTag": tag} for tag in image.tags] or [{}]
    ]
    shown, more = values.page(ids, request, default=100, most=1000)
    return {"imageIds": shown, **more}


def batch_delete(request: dict[str, Any]) -> dict[str, Any]:
    """BatchDeleteImage. A tag is deleted, and the image with its last tag. A digest deletes the image."""
    found = repository(request)
    deleted, failures = [], []
    for image_id in values.listed(request, "imageIds", 100):
        failure = failure_of(found, image_id) or _still_referenced(found, image_id)
        if failure:
            failures.append({"imageId": image_id, **failure})
        else:
            deleted += _delete(found, image_id)
    return {"imageIds": deleted, "failures": failures}


def list_referrers(request: dict[str, Any]) -> dict[str, Any]:
    """ListImageReferrers: the manifests in the repository whose `subject` is the image."""
    found = repository(request)
    subject = values.required(values.required(request, "subjectId"), "imageDigest")
    types = (request.get("filter") or {}).get("artifactTypes") or []
    referrers = [
        _referrer(image)
        for image in found.images.values()
        if image.manifest.subject == subject and (not types or image.manifest.artifact_type in types)
    ]
    shown, more = values.page(referrers, request, default=20, most=50)
    return {"referrers": shown, **more}


def describe_signing_status(request: dict[str, Any]) -> dict[str, Any]:
    """DescribeImageSigningStatus: a status for each signing profile of the image."""
    found = repository(request)
    image_id = values.required(request, "imageId")
    image = found.find(image_id)
    return {
        **found.identity,
        "imageId": image_id,
        "signingStatuses": list(found.signings.get(image.manifest.digest, {}).values()),
    }


def _filtered(found: Repository, request: dict[str, Any]) -> list[Image]:
    """Return the images with the request's tag status and image status, which is ACTIVE by default."""
    asked = request.get("filter") or {}
    status = asked.get("imageStatus", "ACTIVE")
    wanted = {"TAGGED": True, "UNTAGGED": False}.get(asked.get("tagStatus", "ANY"))
    return [
        image
        for image in found.images.values()
        if wanted in (None, bool(image.tags)) and status in ("ANY", image.status)
    ]


def _detail(found: Repository, image: Image) -> dict[str, Any]:
    manifest = image.manifest
    optional = {
        "imageTags": list(image.tags),
        "artifactMediaType": manifest.artifact_type,
        "subjectManifestDigest": manifest.subject,
        "lastArchivedAt": image.archived_at,
        "lastActivatedAt": image.activated_at,
    }
    return {
        **found.identity,
        "imageDigest": manifest.digest,
        "imageSizeInBytes": manifest.layer_bytes or len(manifest.body),
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": manifest.media_type,
        "imageStatus": image.status,
        **{name: value for name, value in optional.items() if value},
    }


def _referrer(image: Image) -> dict[str, Any]:
    manifest = image.manifest
    return {
        "digest": manifest.digest,
        "mediaType": manifest.media_type,
        **({"artifactType": manifest.artifact_type} if manifest.artifact_type else {}),
        "size": len(manifest.body),
        "annotations": dict(manifest.annotations),
        "artifactStatus": "ACTIVE",
    }


def _still_referenced(found: Repository, image_id: dict[str, str]) -> dict[str, str] | None:
    """Return the failure of an image that an index in the repository refers to; None if there is no such index."""
    image = found.find(image_id)
    if image_id.get("imageTag") and len(image.tags) > 1:
        return None
    digest = image.manifest.digest
    indexes = [other.manifest.digest for other in found.images.values() if digest in other.manifest.children]
    if not indexes:
        return None
    return {
        "failureCode": "ImageReferencedByManifestList",
        "failureReason": f"Requested image referenced by manifest list: [{', '.join(indexes)}]",
    }


def _delete(found: Repository, image_id: dict[str, str]) -> list[dict[str, str]]:
    image, tag = found.find(image_id), image_id.get("imageTag")
    digest = image.manifest.digest
    tags: list[str | None] = [tag] if tag else [*image.tags]
    image.tags = {kept: None for kept in image.tags if kept not in tags}
    if not image.tags:
        del found.images[digest]
        found.scans.pop(digest, None)
        found.signings.pop(digest, None)
    for deleted in tags or [None]:
        events.deleted(found.name, image.manifest, deleted)
    return [{"imageDigest": digest, **({"imageTag": deleted} if deleted else {})} for deleted in tags or [None]]
