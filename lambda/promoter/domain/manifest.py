"""What can be read off a manifest's bytes: its digest, its media type, its images. Bytes are never rewritten."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from promoter.domain.errors import InvalidRequest
from promoter.domain.texts import shortened

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SIGNED_V1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_V1 = "application/vnd.docker.distribution.manifest.v1+json"

MEDIA_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, DOCKER_SIGNED_V1, DOCKER_V1)
"""Every kind ECR stores. All are asked for, so that ECR has no reason to translate one into another."""

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGE = frozenset({"config", "layers", "fslayers"})
"""Keys, in lower case, that make a manifest that of an image."""

PLATFORM = ("os", "architecture", "variant")
NO_PLATFORM = {"os": "unknown", "architecture": "unknown"}

DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")  # OCI image spec, "Digests"
LONGEST_DIGEST = 150  # characters; sha512 has 135
MOST_CHARACTERS = 100
"""Characters of a manifest's text that stand in an error: records and announcements have limits of their own."""


STORED = re.compile(r"sha256:[0-9a-f]{64}")
"""A digest by which Amazon ECR can have an image."""


@dataclass(frozen=True)
class Child:
    """One entry of an index. `platform` reads `linux/arm64/v8`, or `unknown` where the entry names none."""

    digest: str
    platform: str
    is_index: bool = False
    is_attestation: bool = False


def is_stored(digest: str) -> bool:
    """Say whether Amazon ECR could have an image by this digest."""
    return STORED.fullmatch(digest) is not None


def children(body: bytes) -> tuple[Child, ...]:
    """Return the entries of an index (OCI image index, "manifests").

    Raises ValueError for an index of another shape, and for one that other clients may read in another way.
    """
    document = read_strictly(body)
    if isinstance(document, dict) and not IMAGE.isdisjoint(map(str.casefold, document)):
        # CVE-2021-41190: some clients would take it for an image
        raise ValueError("the index has a config or layers, as an image has")
    match document:
        case {"manifests": list(entries)}:
            return tuple(_child(entry) for entry in entries)
    raise ValueError("the index has no list of manifests")


def read_strictly(body: bytes) -> Any:
    """Read JSON that every client reads in the same way. Raises ValueError for any other.

    UTF-8 without a byte order mark, no key twice in any case at any depth, no NaN and no Infinity.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_unambiguous, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def cut(text: str) -> str:
    """Return as much of a manifest's text as may stand in an error, in characters that can be sent anywhere."""
    return shortened(text, MOST_CHARACTERS).encode(errors="backslashreplace").decode()


def _unambiguous(members: list[tuple[str, Any]]) -> dict[str, Any]:
    # Go's encoding/json takes a member's name in any case, and the last of several: what is pulled has to be
    # what was judged.
    names = Counter(name.casefold() for name, _ in members)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"the key '{cut(twice[0])}' appears twice, in the same case or in another")
    return dict(members)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _child(entry: Any) -> Child:
    members = entry if isinstance(entry, dict) else {}
    platform, annotations = members.get("platform") or {}, members.get("annotations") or {}
    match members.get("digest"), members.get("mediaType") or "", platform, annotations:
        case str(digest), str(media_type), dict(), dict():
            mark = annotations.get("vnd.docker.reference.type")
        case _:
            raise ValueError("an entry of the index is not an image descriptor")
    if len(digest) > LONGEST_DIGEST or not DIGEST.fullmatch(digest):
        raise ValueError(f"an entry of the index has '{cut(digest)}' as its digest, which is not one")
    named = [part for key in PLATFORM if isinstance(part := platform.get(key), str) and part]
    return Child(
        digest=digest,
        platform=cut("/".join(named)) or "unknown",
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


def media_type_of(body: bytes) -> str:
    """Return the media type that a stored manifest declares, or else the one its shape shows.

    BatchGetImage may leave imageManifestMediaType out; PutImage needs it for a body without mediaType.
    """
    document = _document(body)
    declared = document.get("mediaType")
    return declared if isinstance(declared, str) else media_type_by_shape(document) or OCI_MANIFEST


def unsigned(body: bytes) -> bytes:
    """Return a Docker schema 1 manifest without its signatures (libtrust's form of a JSON Web Signature)."""
    try:
        header = json.loads(_base64url(json.loads(body)["signatures"][0]["protected"]))
        return body[: header["formatLength"]] + _base64url(header["formatTail"])
    except (ValueError, LookupError, TypeError, RecursionError):
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


def media_type_by_shape(document: dict[str, Any]) -> str | None:
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


def subject_of(body: bytes) -> str | None:
    """Return the digest that a manifest says it refers to (OCI image manifest, "subject"); None: it does not."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"subject": {"digest": str(digest)}} if is_stored(digest):
            return digest
    return None
