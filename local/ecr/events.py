"""The events that Amazon ECR puts on the default bus (user guide, "Amazon ECR events and EventBridge")."""

from __future__ import annotations

from datetime import UTC, datetime

from local import emulator
from local.ecr.manifests import Manifest


def pushed(repository: str, manifest: Manifest, tag: str | None) -> None:
    """Send the event of a push. A push by digest has an empty `image-tag`."""
    _image_action("PUSH", repository, manifest, {"image-tag": tag or ""})


def deleted(repository: str, manifest: Manifest, tag: str | None) -> None:
    """Send the event of a deleted tag, or of a deleted image without tags."""
    _image_action("DELETE", repository, manifest, {"image-tag": tag or ""})


def archived(repository: str, manifest: Manifest) -> None:
    """Send the event of an archived image, which does not name the image's tags."""
    _image_action("UPDATE_STORAGE_CLASS", repository, manifest, {"target-storage-class": "ARCHIVE"})


def restored(repository: str, manifest: Manifest, activated_at: float | None) -> None:
    """Send the event of an image that was restored from the archive."""
    time = datetime.fromtimestamp(activated_at or 0, UTC).isoformat(timespec="milliseconds")
    members = {"target-storage-class": "STANDARD", "last-activated-at": time.replace("+00:00", "Z")}
    _image_action("UPDATE_STORAGE_CLASS", repository, manifest, members)


def _image_action(action: str, repository: str, manifest: Manifest, members: dict[str, str]) -> None:
    """Send the event of an image, or of a referrer, which has a detail-type of its own and the same members.

    AWS publishes one sample of a referrer, of a restore. It names the referrer's digest and not its subject's.
    """
    detail = {
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": manifest.digest,
        "action-type": action,
        "manifest-media-type": manifest.media_type,
        **members,
    }
    if manifest.artifact_type:
        detail["artifact-media-type"] = manifest.artifact_type
    detail_type = "ECR Referrer Action" if manifest.subject else "ECR Image Action"
    emulator.emit("aws.ecr", detail_type, detail, [])
