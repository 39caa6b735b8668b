"""Registry on Amazon ECR; the only file that knows ECR's operations and error codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from promoter.domain.errors import (
    ChildrenMissing,
    DigestMismatch,
    Failure,
    InvalidRequest,
    LayersMissing,
    LimitExceeded,
    PromoterError,
    RegistryError,
    RepositoryNotFound,
    TagImmutable,
    Throttled,
)
from promoter.domain.manifest import MEDIA_TYPES, digest_of, media_type_of
from promoter.domain.model import ImageId, Manifest, Repository, Unreadable
from promoter.domain.ports import Found, Missing

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

# PutImage, BatchGetImage: "Errors" in the Amazon ECR API reference. What is not here is a RegistryError.
ERRORS: Mapping[str, type[PromoterError]] = {
    "InvalidParameterException": InvalidRequest,
    "RepositoryNotFoundException": RepositoryNotFound,
    "ImageTagAlreadyExistsException": TagImmutable,
    "LimitExceededException": LimitExceeded,
    "LayersNotFoundException": LayersMissing,
    "ReferencedImagesNotFoundException": ChildrenMissing,
    "ImageDigestDoesNotMatchException": DigestMismatch,
    "ThrottlingException": Throttled,
    "TooManyRequestsException": Throttled,
}

# The failureCodes of BatchGetImage that say something about the image. The others say that ECR could not read it:
# ImageInaccessible, KmsError, Upstream…. That is an answer about this id, and about no other.
MISSING = {
    "ImageNotFound": Missing.NOT_FOUND,
    "ImageTagDoesNotMatchDigest": Missing.TAG_IS_ELSEWHERE,
}
INVALID = {"InvalidImageDigest", "InvalidImageTag", "MissingDigestAndTag"}


class EcrRegistry:
    """Registry over one `ecr` client, in the client's Region.

    `longest_put` is what the client's time-outs and tries add up to. One thread at a time may put.
    """

    def __init__(self, client: ECRClient, *, longest_put: timedelta = timedelta()) -> None:
        self._client = client
        self._longest_put = longest_put
        self._lost = False  # a try of the present PutImage got no answer, or one that leaves open what was done

    @property
    def longest_put(self) -> timedelta:
        """The longest that one `put` can take, with all its tries."""
        return self._longest_put

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
        """Read with one BatchGetImage.

        ECR may translate a manifest that is asked for by tag, which changes its bytes. Bytes that do not have
        the digest they are answered under are read once more, by digest, which ECR never translates; if they
        still do not, DigestMismatch is raised.
        """
        answers, damaged = self._batch_get(repository, image_ids)
        if damaged:
            by_digest = {image_id: ImageId(image_digest=digest) for image_id, digest in damaged.items()}
            again, still = self._batch_get(repository, list(dict.fromkeys(by_digest.values())))
            if still:
                raise DigestMismatch(f"Amazon ECR sent bytes of another digest for {still} of {repository.name}.")
            answers |= {image_id: again[exact] for image_id, exact in by_digest.items()}
        return answers

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        """Put with one PutImage, which ECR checks against the digest.

        An image that "already exists" and an immutable tag are read back: if the tag is on this digest, the put
        counts as done. After a lost answer the SDK sends PutImage again; then the tag was put by this call. Where
        the last try fails too, an earlier one may still be carried out.
        """
        self._lost = False
        # With an id of its own the second registration does nothing.
        own = str(id(self))
        self._client.meta.events.register_first("needs-retry.ecr.PutImage", self._note_try, unique_id=own)
        try:
            self._client.put_image(
                registryId=repository.registry_id,
                repositoryName=repository.name,
                imageManifest=manifest.body.decode(),
                imageManifestMediaType=manifest.media_type,
                imageTag=image_tag,
                imageDigest=manifest.digest,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in {
                "ImageAlreadyExistsException",
                "ImageTagAlreadyExistsException",
            }:
                raise translated(error, f"{image_tag} of {repository.name}", unanswered=self._lost) from error
            tag = ImageId(image_tag=image_tag)
            answer = self.read(repository, [tag])[tag]
            if not isinstance(answer, Manifest) or answer.digest != manifest.digest:
                raise translated(error, f"{image_tag} of {repository.name}") from error
            return error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
        except BotoCoreError as error:
            raise unreachable(error) from error
        return True

    def _note_try(self, response: Any, caught_exception: Any = None, **_: Any) -> None:
        """Remember a try without an answer, or with a 5xx: it may have been carried out, or may still be."""
        self._lost = self._lost or caught_exception is not None or response[0].status_code >= 500

    def _batch_get(
        self, repository: Repository, image_ids: Sequence[ImageId]
    ) -> tuple[dict[ImageId, Found], dict[ImageId, str]]:
        """Return the verified answers, and by id the digests under which other bytes were answered."""
        try:
            response = self._client.batch_get_image(
                registryId=repository.registry_id,
                repositoryName=repository.name,
                imageIds=[_wire(image_id) for image_id in image_ids],
                acceptedMediaTypes=list(MEDIA_TYPES),
            )
        except ClientError as error:
            raise translated(error, repository.name) from error
        except BotoCoreError as error:
            raise unreachable(error) from error
        answers: dict[ImageId, Found] = {}
        damaged: dict[ImageId, str] = {}
        for image in response["images"]:
            manifest, digest = _manifest(image)
            for image_id in _asked_for(image["imageId"], image_ids):
                if digest == manifest.digest:
                    answers[image_id] = manifest
                else:
                    damaged[image_id] = manifest.digest
        for failure in response.get("failures", []):
            asked = failure.get("imageId", {})
            image_id = ImageId(asked.get("imageTag"), asked.get("imageDigest"))
            answers[image_id] = _missing(failure, image_id, repository)
        if unanswered := [
            image_id for image_id in image_ids if image_id not in answers and image_id not in damaged
        ]:
            raise RegistryError(f"Amazon ECR gave no answer for {unanswered[0]} of {repository.name}. Retry.")
        return answers, damaged


def translated(error: ClientError, subject: str, *, unanswered: bool = False) -> PromoterError:
    """Return the PromoterError for an error of ECR's about `subject`; a Failure may be `unanswered`."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    kind, detail = ERRORS.get(code, RegistryError), f"{subject}: {message or code} ({code})"
    return kind(detail, unanswered=unanswered) if issubclass(kind, Failure) else kind(detail)


def unreachable(error: BotoCoreError) -> Failure:
    """Return the Failure for a call that got no answer."""
    return RegistryError(f"Amazon ECR did not answer: {error}", unanswered=True)


def _wire(image_id: ImageId) -> Any:
    members = {"imageTag": image_id.image_tag, "imageDigest": image_id.image_digest}
    return {name: value for name, value in members.items() if value is not None}


def _asked_for(answered: Any, image_ids: Iterable[ImageId]) -> list[ImageId]:
    """Return the ids that this answer is for; an answer carries the tag only if it was asked for by tag."""
    tag, digest = answered.get("imageTag"), answered.get("imageDigest")
    return [
        image_id
        for image_id in image_ids
        if image_id.image_tag in (None, tag) and image_id.image_digest in (None, digest)
    ]


def _manifest(image: Any) -> tuple[Manifest, str]:
    """Return the answer under its stated digest, and the digest that its bytes really have."""
    body, stated = image["imageManifest"].encode(), image["imageId"]["imageDigest"]
    try:
        media_type = image.get("imageManifestMediaType") or media_type_of(body)
    except InvalidRequest as error:  # the registry's bytes, not the caller's
        raise RegistryError(f"Amazon ECR answers {stated} with bytes that are not a manifest.") from error
    return Manifest(body, media_type, stated), digest_of(body, media_type)


def _missing(failure: Any, image_id: ImageId, repository: Repository) -> Missing | Unreadable:
    code, reason = failure.get("failureCode", ""), failure.get("failureReason", "")
    if code in MISSING:
        return MISSING[code]
    if code in INVALID:
        raise InvalidRequest(f"{image_id} of {repository.name}: {reason} ({code})")
    return Unreadable(f"{reason} ({code})")
