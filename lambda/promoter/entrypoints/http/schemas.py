"""Bodies of HTTP requests -> promotions. Names, shapes and limits are PutImage's (Amazon ECR API reference)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, TypeVar

from msgspec import DecodeError, Meta, Struct, ValidationError, convert, json

from promoter.domain import brought_manifest
from promoter.domain.errors import InvalidRequest
from promoter.domain.limits import (
    ACCOUNT_ID,
    LONGEST_REPOSITORY_NAME,
    MAX_TAGS,
    REPOSITORY_NAME,
    SHORTEST_REPOSITORY_NAME,
)
from promoter.domain.manifest import STORED
from promoter.domain.model import ImageId, Promotion, Repository, Source, Trigger
from promoter.domain.templates import REFERRERS, TAG, is_promotable

T = TypeVar("T", bound=Struct)

KEYS = uuid.UUID("5c1b7c57-70f4-5b0f-8f5e-2f7c1f7c9d53")
"""The namespace in which a caller's Idempotency-Key makes a promotionId."""
MOST_CHARACTERS = 300
"""Characters of what is wrong in a request that stand in the answer: a member's name may have megabytes."""
PROMOTION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
"""What a promotionId can look like; ours are UUIDs. Nothing else is looked up."""
KEY = re.compile(r"[\x21-\x7e]{1,255}")

RepositoryName = Annotated[
    str,
    Meta(
        min_length=SHORTEST_REPOSITORY_NAME,
        max_length=LONGEST_REPOSITORY_NAME,
        pattern=rf"\A{REPOSITORY_NAME}\Z",
    ),
]
RegistryId = Annotated[str, Meta(pattern=rf"\A{ACCOUNT_ID}\Z")]
Tag = Annotated[str, Meta(pattern=rf"\A{TAG.pattern}\Z")]
Digest = Annotated[str, Meta(pattern=rf"\A{STORED.pattern}\Z")]


class SourceBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """A tag, a digest or both, which pins the tag to the digest."""

    image_tag: Tag | None = None
    image_digest: Digest | None = None


class TargetBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """Where to put the tags; a member left out is the source's."""

    registry_id: RegistryId | None = None
    region: str | None = None
    repository_name: RepositoryName | None = None


class PromotionBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `POST /promotions` takes."""

    repository_name: RepositoryName
    registry_id: RegistryId | None = None
    source: SourceBody | None = None
    image_manifest: Annotated[str, Meta(min_length=1)] | None = None
    image_manifest_media_type: str | None = None
    image_digest: Digest | None = None
    image_tag: Tag | None = None
    image_tags: Annotated[list[Tag], Meta(min_length=1, max_length=MAX_TAGS)] | None = None
    target: TargetBody | None = None
    expected_digests: dict[Tag, Digest | None] = {}
    dry_run: bool = False


@dataclass(frozen=True)
class Origin:
    """What the request itself does not say: its id, who sent it, and where the function runs."""

    promotion_id: str
    caller: str | None
    registry_id: str
    region: str


class OverrideBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """Why an operator rolls back under a freeze, or without the promotion's rule."""

    reason: Annotated[str, Meta(min_length=1, max_length=400, pattern=r"\S")]


class RollbackBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `POST /promotions/{id}/rollback` takes; nothing at all is fine."""

    image_tags: Annotated[list[Tag], Meta(min_length=1, max_length=MAX_TAGS)] | None = None
    override: OverrideBody | None = None


class TagRollbackBody(Struct, forbid_unknown_fields=True, rename="camel"):
    """What `POST /rollback` takes: a tag, and the digest from which it is to be taken back."""

    repository_name: RepositoryName
    image_tag: Tag
    expected_digest: Digest
    registry_id: RegistryId | None = None
    override: OverrideBody | None = None


def promotion_id(idempotency_key: str | None, principal: str, subject: str) -> str:
    """Return a new id, or the one that the principal's Idempotency-Key always gives for this subject."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    if not KEY.fullmatch(idempotency_key):
        raise InvalidRequest("Idempotency-Key has 1 to 255 printable characters", field="Idempotency-Key")
    return str(uuid.uuid5(KEYS, f"{principal}\n{subject}\n{idempotency_key}"))


def rollback(body: bytes) -> RollbackBody:
    """Read the body of `POST /promotions/{id}/rollback`."""
    asked = decode(body, RollbackBody) if body.strip() else RollbackBody()
    _tags_of(asked.image_tags)
    return asked


def tag_rollback(body: bytes) -> TagRollbackBody:
    """Read the body of `POST /rollback`."""
    asked = decode(body, TagRollbackBody)
    _require_promotable("imageTag", asked.image_tag)
    return asked


def read_promotion(body: bytes, origin: Origin) -> Promotion:
    """Read the body of `POST /promotions`. Raises InvalidRequest, naming the field that is wrong."""
    asked = decode(body, PromotionBody)
    repository = Repository(asked.registry_id or origin.registry_id, asked.repository_name)
    _require_same_place(asked.target, repository, origin.region)
    for tag in asked.expected_digests:
        _require_promotable("expectedDigests", tag)
    return Promotion(
        promotion_id=origin.promotion_id,
        trigger=Trigger.REQUEST,
        repository=repository,
        source=_source(asked),
        image_tags=_tags(asked),
        expected_digests=asked.expected_digests,
        dry_run=asked.dry_run,
        caller=origin.caller,
        fingerprint=sha256(json.encode(asked)).hexdigest(),
    )


def decode(body: bytes, shape: type[T]) -> T:
    """Read a body as a shape. Raises InvalidRequest, naming the field that is wrong."""
    return _named(lambda: json.decode(body, type=shape), "body")


def decode_text(parameters: Mapping[str, str], shape: type[T]) -> T:
    """Read a query string's parameters as a shape, numbers from text. Raises InvalidRequest likewise."""
    return _named(lambda: convert(dict(parameters), shape, strict=False), "query")


def _named(read: Callable[[], T], whole: str) -> T:
    try:
        return read()
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        field = place.replace("key` in `", "").rstrip("`").removeprefix("$").removeprefix(".")
        named = re.search(r"field `(.+?)`", message)
        if named:  # unknown or missing: the message names the member, the place only what it is in
            field = f"{field}.{named[1]}".lstrip(".")
        field = field[:MOST_CHARACTERS] or whole
        raise InvalidRequest(f"{field}: {_readable(message)[:MOST_CHARACTERS]}", field=field) from error
    except (DecodeError, UnicodeError, RecursionError) as error:  # half of a surrogate pair is a UnicodeError
        raise InvalidRequest(f"the {whole} cannot be read: {error}", field=whole) from error


def _readable(message: str) -> str:
    return (
        message.replace("Object ", "")
        .replace(r"\\A", "")
        .replace(r"\\Z", "")
        .replace(r"\A", "")
        .replace(r"\Z", "")
    )


def _source(asked: PromotionBody) -> Source:
    if asked.image_manifest is None:
        for name, value in (
            ("imageManifestMediaType", asked.image_manifest_media_type),
            ("imageDigest", asked.image_digest),
        ):
            if value is not None:
                raise InvalidRequest(f"{name} goes with imageManifest; name the image in source", field=name)
        if asked.source is None or (asked.source.image_tag is None and asked.source.image_digest is None):
            raise InvalidRequest("source needs an imageTag, an imageDigest or both", field="source")
        return Source(ImageId(asked.source.image_tag, asked.source.image_digest))
    if asked.source is not None:
        raise InvalidRequest("source and imageManifest exclude each other", field="source")
    manifest = brought_manifest.parse(asked.image_manifest.encode(), media_type=asked.image_manifest_media_type)
    if asked.image_digest not in (None, manifest.digest):
        raise InvalidRequest(f"imageDigest is not that of imageManifest, {manifest.digest}", field="imageDigest")
    return Source(manifest=manifest)


def _tags(asked: PromotionBody) -> tuple[str, ...] | None:
    if asked.image_tag is not None and asked.image_tags is not None:
        raise InvalidRequest("imageTag and imageTags exclude each other", field="imageTag")
    if asked.image_tag is not None:
        _require_promotable("imageTag", asked.image_tag)
        return (asked.image_tag,)
    return _tags_of(asked.image_tags)


def _tags_of(image_tags: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the tags without repeats, if all are ones that a promotion may put."""
    for number, tag in enumerate(image_tags or ()):
        _require_promotable(f"imageTags[{number}]", tag)
    return tuple(dict.fromkeys(image_tags)) if image_tags is not None else None


def _require_promotable(field: str, tag: str) -> None:
    if not is_promotable(tag):
        raise InvalidRequest(
            f"{field}: {tag} is not a tag that a promotion may put: clients look for signatures and attestations "
            f"under tags that begin with {REFERRERS}",
            field=field,
        )


def _require_same_place(target: TargetBody | None, repository: Repository, region: str) -> None:
    if target is None:
        return
    for name, wanted, here in (
        ("registryId", target.registry_id, repository.registry_id),
        ("region", target.region, region),
        ("repositoryName", target.repository_name, repository.name),
    ):
        if wanted not in (None, here):
            raise InvalidRequest(
                f"target.{name} must be {here}: promotion into another repository is not served yet",
                field=f"target.{name}",
            )
