"""Signs images on demand, as ECR managed signing does on a push: `POST /_local/signatures`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert

from local.ecr import events
from local.ecr.manifests import parse
from local.ecr.store import Image, Repository, repository
from local.oci import OCI_EMPTY, OCI_MANIFEST, sha256

NOTATION = "application/vnd.cncf.notary.signature"
"""The artifactType of signatures by AWS Signer (Notary Project signature specification)."""

# SigningProfileArn, Amazon ECR API reference.
Profile = Annotated[
    str, Meta(pattern=r"^arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:/signing-profiles/[a-zA-Z0-9_]{2,}$")
]


class SignatureRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """The signing status of an image for one signing profile. Code and reason apply to FAILED only."""

    repository_name: str
    image_digest: str
    signing_profile_arn: Profile
    status: Literal["IN_PROGRESS", "COMPLETE", "FAILED"] = "COMPLETE"
    failure_code: str = "AccessDeniedException"
    failure_reason: str = "The pusher may not call signer:SignPayload."


def sign(body: Any) -> dict[str, Any]:
    """Store the status for DescribeImageSigningStatus, which lists one for each profile.

    A signing that is COMPLETE attaches its signature to the image, and the event of this push is sent.

    Raises msgspec.ValidationError, which names the member that is wrong, and EcrError if the image does not exist.
    """
    request = convert(body, SignatureRequest)
    found = repository({"repositoryName": request.repository_name})
    image = found.find({"imageDigest": request.image_digest})
    status = {"signingProfileArn": request.signing_profile_arn, "status": request.status}
    if request.status == "FAILED":
        status |= {"failureCode": request.failure_code, "failureReason": request.failure_reason}
    found.signings.setdefault(image.manifest.digest, {})[request.signing_profile_arn] = status
    if request.status == "COMPLETE":
        _attach_signature(found, image, request.signing_profile_arn)
    return {"repositoryName": found.name, "imageDigest": image.manifest.digest, **status}


def _attach_signature(found: Repository, image: Image, profile: str) -> None:
    """Store a signature as a referrer of the image; it signs nothing, as nothing here verifies it."""
    blobs = {OCI_EMPTY: b"{}", "application/jose+json": f"{profile} {image.manifest.digest}".encode()}
    config, envelope = (
        {"mediaType": media_type, "digest": sha256(blob), "size": len(blob)} for media_type, blob in blobs.items()
    )
    found.blobs.update({sha256(blob): blob for blob in blobs.values()})
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": NOTATION,
        "config": config,
        "layers": [envelope],
        "subject": {
            "mediaType": image.manifest.media_type,
            "digest": image.manifest.digest,
            "size": len(image.manifest.body),
        },
    }
    signature = found.add(parse(json.dumps(manifest).encode()), None)
    events.pushed(found.name, signature.manifest, None)
