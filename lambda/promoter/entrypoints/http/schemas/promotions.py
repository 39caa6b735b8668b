"""The body of `POST /promotions` -> a promotion."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

from msgspec import UNSET, Meta, Struct, json, structs

from promoter.domain import brought_manifest
from promoter.domain.errors import InvalidRequest
from promoter.domain.model import ImageId, Promotion, Repository, Source, Trigger
from promoter.entrypoints.http.origin import Origin
from promoter.entrypoints.http.schemas.members import (
    Digest,
    RegistryId,
    RepositoryName,
    Tag,
    Tags,
    require_all_promotable,
    require_promotable,
)
from promoter.entrypoints.http.schemas.reading import read_body
from promoter.entrypoints.http.schemas.waiting import WaitMember, read_wait, require_can_wait


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
    image_tags: Tags | None = None
    target: TargetBody | None = None
    expected_digests: dict[Tag, Digest | None] = {}
    dry_run: bool = False
    wait: WaitMember = UNSET


def read(body: bytes, origin: Origin, promotion_id: str) -> Promotion:
    """Read the body of `POST /promotions`. Raises InvalidRequest, naming the field that is wrong."""
    asked = read_body(body, PromotionBody)
    repository = Repository(asked.registry_id or origin.registry_id, asked.repository_name)
    _require_same_place(asked.target, repository, origin.region)
    for tag in asked.expected_digests:
        require_promotable("expectedDigests", tag)
    source, asked_at = _source(asked), datetime.now(UTC)
    wait = read_wait(asked.wait, asked_at)
    require_can_wait(wait, dry_run=asked.dry_run, manifest=source.manifest)
    return Promotion(
        promotion_id=promotion_id,
        trigger=Trigger.REQUEST,
        repository=repository,
        source=source,
        image_tags=_tags(asked),
        expected_digests=asked.expected_digests,
        dry_run=asked.dry_run,
        caller=origin.caller,
        asked_at=asked_at,
        fingerprint=_fingerprint(asked),
        wait=wait,
    )


def _fingerprint(asked: PromotionBody) -> str:
    """Return what tells this request from another under the same key: all of it, but for how long it may wait.

    Tables keep it, so it must not change where a member is added: `wait` is not encoded at all.
    """
    return sha256(json.encode(structs.replace(asked, wait=UNSET))).hexdigest()


def _source(asked: PromotionBody) -> Source:
    return _named_source(asked) if asked.image_manifest is None else _brought_source(asked, asked.image_manifest)


def _named_source(asked: PromotionBody) -> Source:
    """Return an image of the registry."""
    for name, value in (
        ("imageManifestMediaType", asked.image_manifest_media_type),
        ("imageDigest", asked.image_digest),
    ):
        if value is not None:
            raise InvalidRequest(
                f"{name} belongs to imageManifest, which is missing. Name an image of the registry in source.",
                field=name,
            )
    if asked.source is None or (asked.source.image_tag is None and asked.source.image_digest is None):
        raise InvalidRequest("source needs an imageTag, an imageDigest or both.", field="source")
    return Source(ImageId(asked.source.image_tag, asked.source.image_digest))


def _brought_source(asked: PromotionBody, text: str) -> Source:
    """Return the manifest that came with the request."""
    if asked.source is not None:
        raise InvalidRequest("Send either source or imageManifest, not both.", field="source")
    manifest = brought_manifest.parse(text.encode(), media_type=asked.image_manifest_media_type)
    if asked.image_digest not in (None, manifest.digest):
        raise InvalidRequest(
            f"imageDigest does not match imageManifest, whose digest is {manifest.digest}.", field="imageDigest"
        )
    return Source(manifest=manifest)


def _tags(asked: PromotionBody) -> tuple[str, ...] | None:
    """Return the target tags without repeats; None: the rule decides."""
    if asked.image_tag is None:
        require_all_promotable(asked.image_tags or ())
        return None if asked.image_tags is None else tuple(dict.fromkeys(asked.image_tags))
    if asked.image_tags is not None:
        raise InvalidRequest("Send either imageTag or imageTags, not both.", field="imageTag")
    require_promotable("imageTag", asked.image_tag)
    return (asked.image_tag,)


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
                f"target.{name} must be {here}. Promotion into another repository is not supported yet.",
                field=f"target.{name}",
            )
