"""What Amazon ECR reads in a manifest: its digest, its type, what it refers to. The bytes are never changed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from local.ecr.errors import InvalidParameter

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
SIGNED_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+json"

# ECR turns Docker schema 2 and OCI manifests into each other when one is asked for by tag (user guide, "Container
# image manifest format support"); the other direction is the same table reversed.
TO_OCI = {
    DOCKER_MANIFEST: OCI_MANIFEST,
    "application/vnd.docker.container.image.v1+json": "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
}
TO_DOCKER = {oci: docker for docker, oci in TO_OCI.items()}


@dataclass(frozen=True)
class Manifest:
    """A manifest's bytes and what ECR knows about them."""

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
        """The manifest as the JSON API carries it; bytes that are not UTF-8 cannot be carried unharmed."""
        return self.body.decode("utf-8", errors="replace")


def parse(body: bytes, media_type: str | None = None) -> Manifest:
    """Read a manifest. Raises InvalidParameter, worded as ECR words it, for what ECR does not take."""
    document = _document(body)
    if document is None:
        raise InvalidParameter("ImageManifest", "Invalid JSON syntax")
    found = media_type or document.get("mediaType") or _schema_1(document)
    if not isinstance(found, str):
        # Misleading, but what ECR says of a manifest that nobody gave a type.
        raise InvalidParameter("ImageManifest", "Invalid JSON syntax")
    return _read(body, document, found)


def parse_anything(body: bytes, media_type: str) -> Manifest:
    """Read bytes that ECR might refuse, for tests that put stored images in place."""
    return _read(body, _document(body) or {}, media_type)


def translated(manifest: Manifest, accepted: Collection[str]) -> tuple[str, str]:
    """Return the text and type answered for an image asked for by tag, in a type the caller accepts if ECR can."""
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
    """Return the sha256 digest; a signed schema 1 manifest's is that of its payload, without the signatures."""
    document = _document(body)
    payload = body
    if document and document.get("schemaVersion") == 1 and document.get("signatures"):
        payload = _signed_payload(body, document) or body
    return f"sha256:{hashlib.sha256(payload).hexdigest()}"


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _schema_1(document: dict[str, Any]) -> str | None:
    """Return the type of a schema 1 manifest, which has no member for it."""
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
    """Return each digest once; what a descriptor with `urls` names lies elsewhere: ECR does not look for it."""
    found = (entry.get("digest") for entry in descriptors if not entry.get("urls"))
    return tuple(dict.fromkeys(digest for digest in found if digest and isinstance(digest, str)))


def _schema_1_layers(document: dict[str, Any]) -> tuple[str, ...]:
    layers = _descriptors(document.get("fsLayers"))
    return tuple(dict.fromkeys(layer["blobSum"] for layer in layers if "blobSum" in layer))


def _signed_payload(body: bytes, document: dict[str, Any]) -> bytes | None:
    """Return the signed part of a JWS-signed manifest: its first bytes and the tail the signature protects."""
    try:
        protected = json.loads(_base64url(document["signatures"][0]["protected"]))
        return body[: protected["formatLength"]] + _base64url(protected["formatTail"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
