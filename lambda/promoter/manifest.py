"""What can be read off a manifest's bytes: its digest and its media type. Bytes are never rewritten."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from promoter.errors import InvalidRequest
from promoter.model import Manifest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SIGNED_V1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_V1 = "application/vnd.docker.distribution.manifest.v1+json"

MEDIA_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, DOCKER_SIGNED_V1, DOCKER_V1)
"""Every kind ECR stores. All are asked for, so that ECR has no reason to translate one into another."""

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})

PLATFORM = ("os", "architecture", "variant")
NO_PLATFORM = {"os": "unknown", "architecture": "unknown"}

MAX_BYTES = 4 * 1024 * 1024  # PutImage's limit for imageManifest


@dataclass(frozen=True)
class Child:
    """One entry of an index. `platform` reads `linux/arm64/v8`, or `unknown` where the entry names none."""

    digest: str
    platform: str
    is_index: bool = False
    is_attestation: bool = False


def children(body: bytes) -> tuple[Child, ...]:
    """Return the entries of an index (OCI image index, "manifests").

    Raises ValueError for an index of another shape, and for one that other clients may read in another way.
    """
    try:
        document = json.loads(body, object_pairs_hook=_unambiguous)
    except RecursionError as error:
        raise ValueError("the index is nested too deep") from error
    match document:
        case {"config": _} | {"layers": _}:  # CVE-2021-41190: some clients would take it for an image
            raise ValueError("the index has a config or layers, as an image has")
        case {"manifests": list(entries)}:
            return tuple(_child(entry) for entry in entries)
    raise ValueError("the index has no list of manifests")


def _unambiguous(members: list[tuple[str, Any]]) -> dict[str, Any]:
    # Go's encoding/json takes a member's name in any case, and the last of several: what is pulled has to be
    # what was judged.
    names = Counter(name.casefold() for name, _ in members)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"the key {twice[0]!r} stands there twice, in the same case or in another")
    return dict(members)


def _child(entry: Any) -> Child:
    members = entry if isinstance(entry, dict) else {}
    platform, annotations = members.get("platform") or {}, members.get("annotations") or {}
    match members.get("digest"), members.get("mediaType") or "", platform, annotations:
        case str(digest), str(media_type), dict(), dict():
            mark = annotations.get("vnd.docker.reference.type")
        case _:
            raise ValueError("an entry of the index is no descriptor of an image")
    return Child(
        digest=digest,
        platform="/".join(str(platform[key]) for key in PLATFORM if platform.get(key)) or "unknown",
        is_index=media_type in INDEXES,
        # Both of buildx's marks: by one alone an index could hide from the gate what somebody would pull.
        is_attestation=mark == "attestation-manifest" and platform == NO_PLATFORM,
    )


def digest_of(body: bytes, media_type: str) -> str:
    """Return the digest that a registry gives to these bytes (OCI image spec, "Digests").

    A signed Docker schema 1 manifest is digested without its signatures.
    """
    payload = unsigned(body) if media_type in (DOCKER_SIGNED_V1, DOCKER_V1) else body
    return "sha256:" + hashlib.sha256(payload).hexdigest()


def parse(body: bytes, *, media_type: str | None = None) -> Manifest:
    """Read a manifest that a caller brought along; `media_type` is the caller's word for what it is.

    Raises InvalidRequest, naming the field, for anything PutImage could not store.
    """
    if len(body) > MAX_BYTES:
        raise InvalidRequest(
            f"imageManifest has {len(body)} bytes; Amazon ECR stores at most {MAX_BYTES}", field="imageManifest"
        )
    document = _document(body)
    own = document.get("mediaType") or _media_type_by_shape(document)
    if own not in MEDIA_TYPES:
        raise InvalidRequest(
            "imageManifest is no image manifest, index or artifact: "
            "schemaVersion 2 with config and layers, or with manifests, is expected",
            field="imageManifest",
        )
    if media_type not in (None, own) and "mediaType" in document:
        raise InvalidRequest(
            f"imageManifestMediaType is {media_type}, but the manifest says {own}", field="imageManifestMediaType"
        )
    if media_type is not None and media_type not in MEDIA_TYPES:
        raise InvalidRequest(
            f"imageManifestMediaType {media_type} is not one that Amazon ECR stores",
            field="imageManifestMediaType",
        )
    chosen = media_type or own
    return Manifest(body, chosen, digest_of(body, chosen))


def media_type_of(body: bytes) -> str:
    """Return the media type that a stored manifest declares, or else the one its shape shows.

    BatchGetImage may leave imageManifestMediaType out; PutImage needs it for a body without mediaType.
    """
    document = _document(body)
    declared = document.get("mediaType")
    return declared if isinstance(declared, str) else _media_type_by_shape(document) or OCI_MANIFEST


def unsigned(body: bytes) -> bytes:
    """Return a Docker schema 1 manifest without its signatures (libtrust's form of a JSON Web Signature)."""
    try:
        header = json.loads(_base64url(json.loads(body)["signatures"][0]["protected"]))
        return body[: header["formatLength"]] + _base64url(header["formatTail"])
    except (ValueError, LookupError, TypeError):
        return body


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"imageManifest is not JSON: {error}", field="imageManifest") from error
    if not isinstance(document, dict):
        raise InvalidRequest("imageManifest must be a JSON object", field="imageManifest")
    return document


def _media_type_by_shape(document: dict[str, Any]) -> str | None:
    """Tell the kinds apart where the body does not name its own; None: it is none of them."""
    match document:
        case {"schemaVersion": 2, "manifests": list()}:
            return OCI_INDEX
        case {"schemaVersion": 2, "config": {"mediaType": str(config)}, "layers": list() | None}:
            return DOCKER_MANIFEST if config.startswith("application/vnd.docker.") else OCI_MANIFEST
        case {"schemaVersion": 1, "fsLayers": list(), "signatures": list()}:
            return DOCKER_SIGNED_V1
        case {"schemaVersion": 1, "fsLayers": list()}:
            return DOCKER_V1
    return None
