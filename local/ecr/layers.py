"""The layer operations of the JSON API (Amazon ECR API reference), on the blobs that the registry serves."""

from __future__ import annotations

import base64
import re
import uuid
from typing import Any

from local import emulator
from local.ecr import values
from local.ecr.errors import EcrError
from local.ecr.store import Repository, repository
from local.oci import sha256

PART_BYTES = 10 * 1024 * 1024
SMALLEST_PART = 5 * 1024 * 1024


def check_availability(request: dict[str, Any]) -> dict[str, Any]:
    """BatchCheckLayerAvailability."""
    found = repository(request)
    layers, failures = [], []
    for digest in values.listed(request, "layerDigests", 100):
        if not re.fullmatch(values.DIGEST, digest):
            failures.append(
                {
                    "layerDigest": digest,
                    "failureCode": "InvalidLayerDigest",
                    "failureReason": f"Invalid layer digest: should satisfy the regex '{values.DIGEST}'",
                }
            )
        elif digest in found.blobs:
            layers.append(
                {"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": len(found.blobs[digest])}
            )
        else:
            layers.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
    return {"layers": layers, "failures": failures}


def download_url(request: dict[str, Any]) -> dict[str, Any]:
    """GetDownloadUrlForLayer: an address that needs no signature, like the presigned address of AWS."""
    found = repository(request)
    digest = values.required(request, "layerDigest")
    if digest not in found.blobs:
        raise EcrError(
            "LayersNotFoundException",
            f"Layers with digests '[{digest}]' do not exist in the repository with name '{found.name}'"
            f" in the registry with id '{found.registry_id}'",
        )
    return {"downloadUrl": f"{emulator.endpoint()}/v2/{found.name}/blobs/{digest}", "layerDigest": digest}


def initiate_upload(request: dict[str, Any]) -> dict[str, Any]:
    """InitiateLayerUpload."""
    upload_id = str(uuid.uuid4())
    repository(request).uploads[upload_id] = []
    return {"uploadId": upload_id, "partSize": PART_BYTES}


def upload_part(request: dict[str, Any]) -> dict[str, Any]:
    """UploadLayerPart. A part starts where the last one ended; the error has the last byte received."""
    found = repository(request)
    parts = _upload(found, request)
    part = base64.b64decode(values.required(request, "layerPartBlob"))
    received = sum(map(len, parts))
    first, last = request.get("partFirstByte"), request.get("partLastByte")
    if first != received or last != received + len(part) - 1:
        raise EcrError(
            "InvalidLayerPartException",
            f"The layer part does not follow the last byte received: {received - 1}",
            **found.identity,
            uploadId=request["uploadId"],
            lastValidByteReceived=received - 1,
        )
    parts.append(part)
    return {
        **found.identity,
        "uploadId": request["uploadId"],
        "lastByteReceived": last,
    }


def complete_upload(request: dict[str, Any]) -> dict[str, Any]:
    """CompleteLayerUpload. One of the request's digests must be that of the bytes received."""
    found = repository(request)
    parts = _upload(found, request)
    asked = values.listed(request, "layerDigests", 100)
    if not parts:
        raise EcrError("EmptyUploadException", f"The upload with id '{request['uploadId']}' has no parts")
    if any(len(part) < SMALLEST_PART for part in parts[:-1]):
        raise EcrError("LayerPartTooSmallException", f"Layer parts must be at least {SMALLEST_PART} bytes in size")
    layer = b"".join(parts)
    digest = sha256(layer)
    if digest not in asked:
        raise EcrError("InvalidLayerException", f"The layer digest {digest} is none of {asked}")
    if digest in found.blobs:
        raise EcrError(
            "LayerAlreadyExistsException",
            f"Layer with digest '{digest}' already exists in the repository with name '{found.name}'"
            f" in registry with id '{found.registry_id}'",
        )
    found.blobs[digest] = layer
    del found.uploads[request["uploadId"]]
    return {
        **found.identity,
        "uploadId": request["uploadId"],
        "layerDigest": digest,
    }


def _upload(found: Repository, request: dict[str, Any]) -> list[bytes]:
    upload_id = values.required(request, "uploadId")
    if upload_id not in found.uploads:
        raise EcrError(
            "UploadNotFoundException",
            f"The upload with id '{upload_id}' does not exist in the repository with name '{found.name}'",
        )
    return found.uploads[upload_id]
