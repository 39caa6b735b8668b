"""ImageFacts on Amazon ECR: scans, signatures and push times, for basic and for enhanced scanning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter.aws.ecr import scan_results
from promoter.aws.ecr.registry import EcrRegistry, translated, unreachable
from promoter.domain.errors import SourceNotFound
from promoter.domain.findings import Scan
from promoter.domain.model import ImageId, Manifest, Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import (
        DescribeImageScanFindingsRequestTypeDef,
        ImageSigningStatusTypeDef,
        ListImageReferrersRequestTypeDef,
    )

NO_IMAGE = "ImageNotFoundException"
MOST_PAGES = 10
"""Of ListImageReferrers, 50 referrers each. A signature behind them does not count."""
MOST_IMAGES = 100  # of BatchGetImage


class EcrImageFacts:
    """ImageFacts over one `ecr` client, in the client's Region. boto3 clients may be used by several threads."""

    def __init__(self, client: ECRClient) -> None:
        self._client = client

    def scan(self, repository: Repository, image_digest: str) -> Scan:
        """Read all pages of DescribeImageScanFindings; ScanNotFoundException is a scan without a status."""
        try:
            return scan_results.read_pages(self._pages(repository, image_digest))
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
        while True:  # as table.every: without the paginator that a cold start would have to load
            yield (answer := self._client.describe_image_scan_findings(**request))
            if not (token := answer.get("nextToken")):
                return
            request["nextToken"] = token

    def signed(self, repository: Repository, image_digest: str, profiles: Sequence[str] = ()) -> bool:
        """Look at the list of referrers, then at cosign's tag and manifests, then at ECR managed signing.

        Of `profiles` only the last counts, and only it is asked.
        """
        if profiles:
            return not self._signers(repository, image_digest).isdisjoint(profiles)
        signed, undecided = self._referrers(repository, image_digest)
        return (
            signed
            or self._has_stored(repository, image_digest, undecided)
            or bool(self._signers(repository, image_digest))
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
        details = answer["imageDetails"]
        return {each["imageDigest"]: each["imagePushedAt"] for each in details if "imagePushedAt" in each}

    def _referrers(self, repository: Repository, image_digest: str) -> tuple[bool, list[str]]:
        """Say whether one of the referrers is listed as a signature; if none is, name those that may be one.

        All are listed, whatever their type: a filter would miss signatures without an artifactType.
        """
        from promoter.aws.ecr import signatures  # only a gate that asks for a signature pays for it

        request: ListImageReferrersRequestTypeDef = {
            "registryId": repository.registry_id,
            "repositoryName": repository.name,
            "subjectId": {"imageDigest": image_digest},
            "maxResults": 50,
        }
        undecided: list[str] = []
        with _asking(f"referrers of {image_digest}"):
            for _ in range(MOST_PAGES):
                answer = self._client.list_image_referrers(**request)
                verdicts = {each["digest"]: signatures.listed(each) for each in answer.get("referrers", ())}
                if True in verdicts.values():
                    return True, []
                undecided += [digest for digest, is_signature in verdicts.items() if is_signature is None]
                if not (token := answer.get("nextToken")):
                    break
                request["nextToken"] = token
        return False, undecided

    def _has_stored(self, repository: Repository, image_digest: str, undecided: Sequence[str]) -> bool:
        """Look for cosign's tag, and at what the manifests of the `undecided` referrers say: one BatchGetImage."""
        from promoter.aws.ecr import signatures

        tag = ImageId(image_tag=f"{image_digest.replace(':', '-')}.sig")
        referrers = [ImageId(image_digest=digest) for digest in dict.fromkeys(undecided)]
        answers = EcrRegistry(self._client).read(repository, [tag, *referrers][:MOST_IMAGES])
        return isinstance(answers[tag], Manifest) or any(
            isinstance(answer, Manifest) and signatures.stored(answer.body, image_digest)
            for answer in answers.values()
        )

    def _signers(self, repository: Repository, image_digest: str) -> set[str]:
        """Return the ARNs of the signing profiles by which ECR managed signing has signed the image."""
        statuses: Sequence[ImageSigningStatusTypeDef] = ()
        with _asking(f"signing status of {image_digest}"):
            answer = self._client.describe_image_signing_status(
                registryId=repository.registry_id,
                repositoryName=repository.name,
                imageId={"imageDigest": image_digest},
            )
            statuses = answer.get("signingStatuses", ())
        return {each.get("signingProfileArn", "") for each in statuses if each.get("status") == "COMPLETE"}


@contextmanager
def _asking(subject: str) -> Iterator[None]:
    """Translate ECR's errors; where the image is not there, there is nothing to learn of it."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != NO_IMAGE:
            raise translated(error, subject) from error
    except BotoCoreError as error:
        raise unreachable(error) from error
