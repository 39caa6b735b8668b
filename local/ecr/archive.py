"""The archive storage class (user guide, "Archiving an image" and "Restoring an archived image")."""

from __future__ import annotations

from typing import Any

from local.ecr import events, values
from local.ecr.errors import InvalidParameter
from local.ecr.store import now, repository

STORAGE_CLASSES = ("STANDARD", "ARCHIVE")


def update_storage_class(request: dict[str, Any]) -> dict[str, Any]:
    """UpdateImageStorageClass. AWS restores an image within 20 minutes; here `POST /_local/restores` does."""
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
        **found.identity,
        "imageId": {"imageDigest": image.manifest.digest, **image_id},
        "imageStatus": image.status,
    }
