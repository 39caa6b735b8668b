"""The manifest that a request brings along: only images and indexes, and only what all clients read alike.

The function puts it with its own rights, for a caller that may have none to push. So it must not become a
signature or an attestation of an image, and its bytes must be those that were judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from promoter.domain.errors import InvalidRequest
from promoter.domain.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SIGNED_V1,
    DOCKER_V1,
    IMAGE,
    INDEXES,
    OCI_INDEX,
    OCI_MANIFEST,
    cut,
    digest_of,
    media_type_by_shape,
    read_strictly,
)
from promoter.domain.model import Manifest

MAX_BYTES = 4 * 1024 * 1024  # PutImage's limit for imageManifest
TAKEN = frozenset({OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST})
SCHEMA_1 = frozenset({DOCKER_SIGNED_V1, DOCKER_V1})
SPELLING = {
    name.casefold(): name
    for name in (
        *("schemaVersion", "mediaType", "config", "layers", "manifests"),
        *("subject", "artifactType", "annotations", "fsLayers", "signatures"),
    )
}
"""The keys that have a meaning at the top of a manifest. Go's encoding/json takes them in any case."""
REFERRING = ("subject", "artifacttype")

# Of config or layers. By these Notation, cosign and buildx make signatures and attestations.
SIGNING = (
    "application/vnd.cncf.notary.",
    "application/vnd.dev.cosign.",
    "application/vnd.dev.sigstore.",
    "application/vnd.dsse.",
    "application/vnd.in-toto",
)
PUSH_IT = "push it to the registry with rights of your own"


def parse(body: bytes, *, media_type: str | None = None) -> Manifest:
    """Read a manifest that a caller brought along; `media_type` is the caller's word for what it is.

    Raises InvalidRequest, naming the field, for anything PutImage could not store or that is not taken.
    """
    if len(body) > MAX_BYTES:
        raise _refused(f"has {len(body)} bytes; Amazon ECR stores at most {MAX_BYTES}")
    document = _document(body)
    if objection := next(_objections(document), None):
        raise _refused(objection)
    shape, declared = media_type_by_shape(document), document.get("mediaType")
    own = declared or shape
    if shape is None or own not in TAKEN or (own in INDEXES) != (shape in INDEXES):
        raise _refused(
            "is not an image manifest or index: "
            "schemaVersion 2 with config and layers, or with manifests, is expected, and a mediaType that fits"
        )
    if media_type is not None:
        _require_media_type(media_type, own, shape, declared=declared is not None)
    chosen = media_type or own
    return Manifest(body, chosen, digest_of(body, chosen))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = read_strictly(body)
    except ValueError as error:
        raise _refused(f"is not JSON that all clients read alike: {error}") from error
    if not isinstance(document, dict):
        raise _refused("must be a JSON object")
    return document


def _objections(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a manifest of this content is not taken from a request."""
    names, media_type = {name.casefold(): name for name in document}, document.get("mediaType")
    if not isinstance(media_type, str | None):
        yield "has a mediaType that is not a string"
        return
    for folded, name in names.items():
        if SPELLING.get(folded, name) != name:
            yield f"has the key {name}, which some clients read as {SPELLING[folded]}: write it so"
    if "fslayers" in names or document.get("schemaVersion") == 1 or media_type in SCHEMA_1:
        yield "is a Docker schema 1 manifest, whose digest does not cover all bytes: build it as schema 2 or OCI"
    for name in (each for each in REFERRING if each in names):
        yield (
            f"has the key {SPELLING[name]}: it would be put as a signature or attestation "
            f"for a caller who may not push one; {PUSH_IT}"
        )
    if "manifests" in names and not IMAGE.isdisjoint(names):
        yield "has manifests beside a config or layers: clients may take it for an image or for an index"
    if kind := _signing(document):
        yield f"is a signature or attestation, by its {cut(kind)}: {PUSH_IT}"


def _signing(document: Mapping[str, Any]) -> str | None:
    """Return the media type, of config or layers, that only signatures and attestations have."""
    layers = document.get("layers")
    parts = [document.get("config"), *(layers if isinstance(layers, list) else ())]
    kinds = [part.get("mediaType") for part in parts if isinstance(part, dict)]
    return next((kind for kind in kinds if isinstance(kind, str) and kind.lower().startswith(SIGNING)), None)


def _require_media_type(media_type: str, own: str, shape: str, *, declared: bool) -> None:
    if media_type in SCHEMA_1:
        problem = "is Docker schema 1, whose digest does not cover all bytes of a manifest"
    elif media_type not in TAKEN:
        problem = "is not one that an image or index has in Amazon ECR"
    elif declared and media_type != own:
        problem = f"is not what the manifest says itself, {own}"
    elif (media_type in INDEXES) != (shape in INDEXES):
        problem = f"does not fit the manifest, which has the shape of {shape}"
    else:
        return
    raise InvalidRequest(f"imageManifestMediaType {cut(media_type)} {problem}", field="imageManifestMediaType")


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest(f"imageManifest {problem}", field="imageManifest")
