"""Findings on Amazon ECR: scans, signatures and push times, for basic and for enhanced scanning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter import findings
from promoter.ecr import EcrRegistry, translated, unreachable
from promoter.errors import SourceNotFound
from promoter.model import ImageId, Manifest, Repository, Scan

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import (
        DescribeImageScanFindingsRequestTypeDef,
        ListImageReferrersRequestTypeDef,
    )

SIGNATURES = (
    "application/vnd.cncf.notary.signature",  # Notation, AWS Signer, ECR managed signing
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
)
NO_IMAGE = "ImageNotFoundException"


class EcrFindings:
    """Findings over one `ecr` client, in the client's Region. boto3 clients may be used by several threads."""

    def __init__(self, client: ECRClient) -> None:
        self._client = client

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        """Read all pages of DescribeImageScanFindings; ScanNotFoundException is a scan without a status."""
        try:
            return findings.read_pages(self._pages(repository, image_digest))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ScanNotFoundException", NO_IMAGE):
                return Scan(None)
            raise translated(error, f"scan findings of {image_digest}") from error
        except BotoCoreError as error:
            raise unreachable(error) from error

    def _pages(self, repository: Repository, image_digest: str) -> Iterator[Any]:
        request: DescribeImageScanFindingsRequestTypeDef = {
            "registryId": repository.registry_id,
            "repositoryName": repository.name,
            "imageId": {"imageDigest": image_digest},
            "maxResults": 1000,
        }
        while True:  # as dynamo.every: without the paginator that a cold start would have to load
            yield (answer := self._client.describe_image_scan_findings(**request))
            if not (token := answer.get("nextToken")):
                return
            request["nextToken"] = token

    def signed(self, repository: Repository, image_digest: str) -> bool:
        """Look for a referrer with a signature's type, then for cosign's tag, then at ECR managed signing."""
        return (
            self._has_signature_referrer(repository, image_digest)
            or self._has_cosign_tag(repository, image_digest)
            or self._is_signed_by_ecr(repository, image_digest)
        )

    def pushed(self, repository: Repository, image_digests: Sequence[str]) -> dict[str, datetime]:
        """Read imagePushedAt with one DescribeImages; up to 100 digests."""
        try:
            answer = self._client.describe_images(
                registryId=repository.registry_id,
                repositoryName=repository.name,
                imageIds=[{"imageDigest": digest} for digest in image_digests],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == NO_IMAGE:
                names = ", ".join(image_digests)
                raise SourceNotFound(f"repository {repository.name} no longer has one of {names}") from error
            raise translated(error, repository.name) from error
        except BotoCoreError as error:
            raise unreachable(error) from error
        return {image["imageDigest"]: image["imagePushedAt"] for image in answer["imageDetails"]}

    def _has_signature_referrer(self, repository: Repository, image_digest: str) -> bool:
        request: ListImageReferrersRequestTypeDef = {
            "registryId": repository.registry_id,
            "repositoryName": repository.name,
            "subjectId": {"imageDigest": image_digest},
            "filter": {"artifactTypes": list(SIGNATURES)},
        }
        try:
            while not (answer := self._client.list_image_referrers(**request)).get("referrers"):
                if not (token := answer.get("nextToken")):
                    return False
                request["nextToken"] = token
        except ClientError as error:
            if error.response["Error"]["Code"] == NO_IMAGE:
                return False
            raise translated(error, f"referrers of {image_digest}") from error
        except BotoCoreError as error:
            raise unreachable(error) from error
        return True

    def _has_cosign_tag(self, repository: Repository, image_digest: str) -> bool:
        tag = ImageId(image_tag=f"{image_digest.replace(':', '-')}.sig")
        return isinstance(EcrRegistry(self._client).read(repository, [tag])[tag], Manifest)

    def _is_signed_by_ecr(self, repository: Repository, image_digest: str) -> bool:
        try:
            answer = self._client.describe_image_signing_status(
                registryId=repository.registry_id,
                repositoryName=repository.name,
                imageId={"imageDigest": image_digest},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == NO_IMAGE:
                return False
            raise translated(error, f"signing status of {image_digest}") from error
        except BotoCoreError as error:
            raise unreachable(error) from error
        return any(each.get("status") == "COMPLETE" for each in answer.get("signingStatuses", ()))
