"""The archive storage class (user guide, "Archiving an image" and "Restoring an archived image")."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert

from local.ecr import events, values
from local.ecr.errors import InvalidParameter
from local.ecr.store import now, repository

STORAGE_CLASSES = ("STANDARD", "ARCHIVE")


class RestoreRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The image whose restore, begun by UpdateImageStorageClass, is to be finished."""

    repository_name: str
    image_digest: str


def update_storage_class(request: dict[str, Any]) -> dict[str, Any]:
    """UpdateImageStorageClass. A restore takes up to 20 minutes in AWS; here until `finish_restore`."""
    found = repository(request)
    image_id = values.required(request, "imageId")
    target = values.required(request, "targetStorageClass")
    if target not in STORAGE_CLASSES:
        raise InvalidParameter(
            "targetStorageClass", f"Member must satisfy enum value set: {list(STORAGE_CLASSES)}"
        )
    image = found.find(image_id)
    if target == "ARCHIVE" and image.status == "ACTIVE":
        image.status, image.archived_at = "ARCHIVED", now()
        events.archived(found.name, image.manifest)
    elif target == "STANDARD" and image.status == "ARCHIVED":
        image.status = "ACTIVATING"
    return {
        "registryId": found.registry_id,
        "repositoryName": found.name,
        "imageId": {"imageDigest": image.manifest.digest, **image_id},
        "imageStatus": image.status,
    }


def finish_restore(body: Any) -> dict[str, Any]:
    """Do what AWS does by itself some minutes after a restore was asked for. Raises ValueError if none was."""
    request = convert(body, RestoreRequest)
    found = repository({"repositoryName": request.repository_name})
    image = found.find({"imageDigest": request.image_digest})
    if image.status != "ACTIVATING":
        raise ValueError(f"{request.image_digest} is {image.status}, not ACTIVATING")
    image.activate()
    events.restored(found.name, image.manifest, image.activated_at)
    return {"repositoryName": found.name, "imageDigest": image.manifest.digest, "imageStatus": image.status}
