"""Finishes the restore of an archived image: `POST /_local/restores`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert

from local.ecr import events
from local.ecr.store import repository


class RestoreRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The image whose restore, begun by UpdateImageStorageClass, is to be finished."""

    repository_name: str
    image_digest: str


def finish(body: Any) -> dict[str, Any]:
    """End a restore, as AWS does within 20 minutes of the request. Raises ValueError if no restore was begun."""
    request = convert(body, RestoreRequest)
    found = repository({"repositoryName": request.repository_name})
    image = found.find({"imageDigest": request.image_digest})
    if image.status != "ACTIVATING":
        raise ValueError(f"{request.image_digest} is {image.status}, not ACTIVATING")
    image.activate()
    events.restored(found.name, image.manifest, image.activated_at)
    return {"repositoryName": found.name, "imageDigest": image.manifest.digest, "imageStatus": image.status}
