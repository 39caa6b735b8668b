"""The manifest routes of the registry HTTP API (OCI distribution specification), with the rules of the JSON API.

ministack serves layers and uploads. Requests are accepted with any credentials, and without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local import emulator
from local.ecr import events, images, values
from local.ecr.errors import EcrError
from local.ecr.manifests import parse
from local.ecr.store import Image, Repository, open_repository
from local.oci import OCI_INDEX

# The distribution specification's code for each error of ECR.
CODES = {
    "ImageTagAlreadyExistsException": "TAG_INVALID",
    "ReferencedImagesNotFoundException": "MANIFEST_BLOB_UNKNOWN",
    "LayersNotFoundException": "MANIFEST_BLOB_UNKNOWN",
    "ImageDigestDoesNotMatchException": "DIGEST_INVALID",
    "LimitExceededException": "DENIED",
}


def put_manifest(name: str, reference: str, headers: Mapping[str, str], body: bytes) -> emulator.Answer:
    """PUT /v2/<name>/manifests/<reference>. A repeated push succeeds and changes nothing."""
    found = _repository(name)
    if found is None:
        return _unknown_name(name)
    try:
        if len(body) > values.MANIFEST_BYTES:
            return refusal(413, "SIZE_INVALID", "the manifest is larger than 4 MiB")
        manifest = parse(body, _media_type(headers))
        if reference.startswith("sha256:") and reference != manifest.digest:
            return refusal(400, "DIGEST_INVALID", f"the digest of the manifest is {manifest.digest}")
        tag = None if reference.startswith("sha256:") else values.tag(reference)
        images.push(found, manifest, tag)
    except EcrError as error:
        return refusal(400, CODES.get(error.code, "MANIFEST_INVALID"), str(error))
    answered = {"Location": f"/v2/{name}/manifests/{manifest.digest}", "Docker-Content-Digest": manifest.digest}
    if manifest.subject:
        answered["OCI-Subject"] = manifest.subject
    return 201, answered, b""


def get_manifest(name: str, reference: str) -> emulator.Answer:
    """GET /v2/<name>/manifests/<reference>, always in the stored media type. Archived images are not found."""
    image = _image(name, reference)
    if image is None or image.status != "ACTIVE":
        return _unknown_manifest(name, reference)
    manifest = image.manifest
    headers = {
        "Content-Type": manifest.media_type,
        "Docker-Content-Digest": manifest.digest,
        "Content-Length": str(len(manifest.body)),
    }
    return 200, headers, manifest.body


def head_manifest(name: str, reference: str) -> emulator.Answer:
    """HEAD /v2/<name>/manifests/<reference>."""
    status, headers, _ = get_manifest(name, reference)
    return status, headers, b""


def delete_manifest(name: str, reference: str) -> emulator.Answer:
    """DELETE /v2/<name>/manifests/<reference>. A digest deletes the image, a tag only the tag."""
    found, image = _repository(name), _image(name, reference)
    if found is None or image is None:
        return _unknown_manifest(name, reference)
    if reference in image.tags:
        del image.tags[reference]
    else:
        del found.images[image.manifest.digest]
    events.deleted(name, image.manifest, reference if image.manifest.digest != reference else None)
    return 202, {}, b""


def list_tags(name: str, query: Mapping[str, Any]) -> emulator.Answer:
    """GET /v2/<name>/tags/list, paged by `n` and `last`."""
    found = _repository(name)
    if found is None:
        return _unknown_name(name)
    active = [image for image in found.images.values() if image.status == "ACTIVE"]
    after, size = _first(query, "last"), _first(query, "n")
    tags = sorted(tag for image in active for tag in image.tags if tag > after)
    shown = tags[: int(size)] if size.isdecimal() else tags
    headers = {"Content-Type": "application/json"}
    if len(shown) < len(tags):
        headers["Link"] = f'</v2/{name}/tags/list?n={size}&last={shown[-1] if shown else after}>; rel="next"'
    return 200, headers, json.dumps({"name": name, "tags": shown}).encode()


def refusal(status: int, code: str, message: str) -> emulator.Answer:
    """Return an error as the distribution specification defines it."""
    document = {"errors": [{"code": code, "message": message, "detail": {}}]}
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _repository(name: str) -> Repository | None:
    return open_repository(name) if name in emulator.repositories() else None


def _image(name: str, reference: str) -> Image | None:
    found = _repository(name)
    if found is None:
        return None
    return found.images.get(reference) if reference.startswith("sha256:") else found.tagged(reference)


def _media_type(headers: Mapping[str, str]) -> str | None:
    """Return the media type without its parameters, which describe the transfer and not the manifest."""
    return headers.get("content-type", "").partition(";")[0].strip() or None


def _first(query: Mapping[str, Any], name: str) -> str:
    return str((query.get(name) or [""])[0])


def _unknown_name(name: str) -> emulator.Answer:
    return refusal(404, "NAME_UNKNOWN", f"The repository with name '{name}' does not exist")


def _unknown_manifest(name: str, reference: str) -> emulator.Answer:
    return refusal(404, "MANIFEST_UNKNOWN", f"Requested image not found: {name} {reference}")


def list_referrers(name: str, digest: str, query: Mapping[str, Any]) -> emulator.Answer:
    """GET /v2/<name>/referrers/<digest>: an index of the manifests with that subject and `artifactType`."""
    found = _repository(name)
    if found is None:
        return _unknown_name(name)
    wanted = _first(query, "artifactType")
    descriptors = [
        {
            "mediaType": image.manifest.media_type,
            "digest": image.manifest.digest,
            "size": len(image.manifest.body),
            "artifactType": image.manifest.artifact_type,
            "annotations": dict(image.manifest.annotations),
        }
        for image in found.images.values()
        if image.manifest.subject == digest and wanted in ("", image.manifest.artifact_type)
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
    applied = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
    return 200, {"Content-Type": OCI_INDEX, **applied}, json.dumps(document).encode()
