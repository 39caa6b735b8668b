"""Signs images on demand, as ECR managed signing does on a push: `POST /_local/signatures`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert

from local.ecr.store import repository

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

    Raises msgspec.ValidationError, which names the member that is wrong, and EcrError if the image does not exist.
    """
    request = convert(body, SignatureRequest)
    found = repository({"repositoryName": request.repository_name})
    image = found.find({"imageDigest": request.image_digest})
    status = {"signingProfileArn": request.signing_profile_arn, "status": request.status}
    if request.status == "FAILED":
        status |= {"failureCode": request.failure_code, "failureReason": request.failure_reason}
    found.signings.setdefault(image.manifest.digest, {})[request.signing_profile_arn] = status
    return {"repositoryName": found.name, "imageDigest": image.manifest.digest, **status}
