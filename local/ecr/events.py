"""The events that Amazon ECR puts on the default bus (user guide, "Amazon ECR events and EventBridge")."""

from __future__ import annotations

from local import emulator
from local.ecr.manifests import Manifest


def pushed(repository: str, manifest: Manifest, tag: str | None) -> None:
    """Tell of an accepted manifest; a push by digest alone carries an empty tag."""
    _image_action("PUSH", repository, manifest, tag)


def deleted(repository: str, manifest: Manifest, tag: str | None) -> None:
    """Tell of a tag, or an image without one, that is gone."""
    _image_action("DELETE", repository, manifest, tag)


def _image_action(action: str, repository: str, manifest: Manifest, tag: str | None) -> None:
    detail = {
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": manifest.digest,
        "action-type": action,
        "image-tag": tag or "",
        "manifest-media-type": manifest.media_type,
    }
    if manifest.artifact_type:
        detail["artifact-media-type"] = manifest.artifact_type
    emulator.emit("aws.ecr", "ECR Image Action", detail, [])
