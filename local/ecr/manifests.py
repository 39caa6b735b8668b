"""Reads a manifest as Amazon ECR does: digest, media type, references. The bytes never change."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from local.ecr.errors import InvalidParameter
from local.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    sha256,
)

SIGNED_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+json"

# ECR translates between Docker schema 2 and OCI manifests when an image is read by tag (user guide, "Container
# image manifest format support").
TO_OCI = {
    DOCKER_MANIFEST: OCI_MANIFEST,
    DOCKER_CONFIG: OCI_CONFIG,
    DOCKER_LAYER: OCI_LAYER,
}
TO_DOCKER = {oci: docker for docker, oci in TO_OCI.items()}


@dataclass(frozen=True)
class Manifest:
    """The bytes of a manifest, and what ECR reads in them."""

    body: bytes
    media_type: str
    digest: str
    artifact_type: str = ""
    children: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    subject: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    layer_bytes: int = 0

    @property
    def text(self) -> str:
        """The manifest as text, as the JSON API answers it. Bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", errors="replace")


def parse(body: bytes, media_type: str | None = None) -> Manifest:
    """Read a manifest. Raises InvalidParameter, with ECR's text, for a manifest that ECR refuses."""
    document = _document(body)
    if document is None:
        raise InvalidParameter("ImageManifest", "Invalid JSON syntax")
    found = media_type or document.get("mediaType") or _schema_1(document)
    if not isinstance(found, str):
        # A misleading text, but ECR's own for a manifest without a media type.
        raise InvalidParameter("ImageManifest", "Invalid JSON syntax")
    return _read(body, document, found)


def parse_anything(body: bytes, media_type: str) -> Manifest:
    """Read any bytes, also those that ECR would refuse, for tests that store an image without a push."""
    return _read(body, _document(body) or {}, media_type)


def translated(manifest: Manifest, accepted: Collection[str]) -> tuple[str, str]:
    """Return the text and media type for a read by tag, translated to an accepted type if ECR can do so."""
    table = {DOCKER_MANIFEST: TO_OCI, OCI_MANIFEST: TO_DOCKER}.get(manifest.media_type, {})
    wanted = table.get(manifest.media_type)
    if wanted is None or not accepted or manifest.media_type in accepted or wanted not in accepted:
        return manifest.text, manifest.media_type
    document = json.loads(manifest.body)
    document["mediaType"] = wanted
    for descriptor in [document.get("config", {}), *(document.get("layers") or [])]:
        if descriptor.get("mediaType") in table:
            descriptor["mediaType"] = table[descriptor["mediaType"]]
    return json.dumps(document, indent=3), wanted


def digest_of(body: bytes) -> str:
    """Return the digest. That of a signed schema 1 manifest is computed without the signatures."""
    document = _document(body)
    payload = body
    if document and document.get("schemaVersion") == 1 and document.get("signatures"):
        payload = _signed_payload(body, document) or body
    return sha256(payload)


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _schema_1(document: dict[str, Any]) -> str | None:
    """Return the media type of a schema 1 manifest, which has no member for it; None for other manifests."""
    if document.get("schemaVersion") != 1:
        return None
    return SIGNED_SCHEMA_1 if document.get("signatures") else SCHEMA_1


def _read(body: bytes, document: dict[str, Any], media_type: str) -> Manifest:
    layers = _descriptors(document.get("layers"))
    config = next(iter(_descriptors([document.get("config")])), {})
    annotations = document.get("annotations")
    is_index = media_type in {OCI_INDEX, DOCKER_LIST}
    return Manifest(
        body=body,
        media_type=media_type,
        digest=digest_of(body),
        artifact_type=str(document.get("artifactType") or config.get("mediaType") or ""),
        children=_digests(_descriptors(document.get("manifests"))) if is_index else (),
        blobs=() if is_index else _digests([config, *layers]) + _schema_1_layers(document),
        subject=next(iter(_digests(_descriptors([document.get("subject")]))), ""),
        annotations=tuple(annotations.items()) if isinstance(annotations, dict) else (),
        layer_bytes=sum(size for part in [config, *layers] if isinstance(size := part.get("size"), int)),
    )


def _descriptors(found: Any) -> list[dict[str, Any]]:
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _digests(descriptors: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Return each digest once. A descriptor with `urls` is a blob stored elsewhere: ECR does not require it."""
    found = (entry.get("digest") for entry in descriptors if not entry.get("urls"))
    return tuple(dict.fromkeys(digest for digest in found if digest and isinstance(digest, str)))


def _schema_1_layers(document: dict[str, Any]) -> tuple[str, ...]:
    layers = _descriptors(document.get("fsLayers"))
    return tuple(dict.fromkeys(layer["blobSum"] for layer in layers if "blobSum" in layer))


def _signed_payload(body: bytes, document: dict[str, Any]) -> bytes | None:
    """Return the signed bytes of a manifest with JWS signatures: its beginning and the tail in `protected`."""
    try:
        protected = json.loads(_base64url(document["signatures"][0]["protected"]))
        return body[: protected["formatLength"]] + _base64url(protected["formatTail"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
