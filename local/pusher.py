"""A small docker client: builds tiny images and pushes them over the registry HTTP API.

The content depends on the seed only: the same call pushes the same digests.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote

from local.aws import WITHOUT_PROXY
from local.oci import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    sha256,
)

TYPES = {OCI_MANIFEST: (OCI_CONFIG, OCI_LAYER), DOCKER_MANIFEST: (DOCKER_CONFIG, DOCKER_LAYER)}
PLATFORMS = ("linux/amd64", "linux/arm64")


class PushRefused(Exception):
    """The registry refused a request; `status` is the HTTP status, the text is the registry's answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


@dataclass(frozen=True)
class PushedImage:
    """A pushed image. An index has its images in `children`, by platform, and the digests of its attestations."""

    digest: str
    media_type: str
    manifest: bytes
    children: dict[str, PushedImage] = field(default_factory=dict)
    attestations: tuple[str, ...] = ()


def push_image(
    registry: str,
    repository: str,
    tag: str | None,
    *,
    seed: str,
    media_type: str = OCI_MANIFEST,
    platform: str = PLATFORMS[0],
) -> PushedImage:
    """Push an image of one platform with one layer of one file. Without a tag it is pushed by digest."""
    config_type, layer_type = TYPES[media_type]
    tar = _tar("seed.txt", f"{seed} {platform}\n".encode())
    os_name, architecture = platform.split("/")
    config = {
        "architecture": architecture,
        "os": os_name,
        "config": {"Cmd": ["/seed.txt"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(tar)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _pushed_blob(registry, repository, json.dumps(config).encode(), config_type),
        "layers": [_pushed_blob(registry, repository, gzip.compress(tar, mtime=0), layer_type)],
    }
    return push_manifest(registry, repository, json.dumps(manifest, indent=2).encode(), media_type, tag)


def push_index(
    registry: str,
    repository: str,
    tag: str | None,
    *,
    seed: str,
    platforms: tuple[str, ...] = PLATFORMS,
    attestations: bool = False,
) -> PushedImage:
    """Push an image of several platforms as docker buildx does: its images by digest, then the index."""
    children = {name: push_image(registry, repository, None, seed=seed, platform=name) for name in platforms}
    entries = [
        _descriptor(child.manifest, OCI_MANIFEST) | {"platform": _platform(name)}
        for name, child in children.items()
    ]
    proofs = (
        [_push_attestation(registry, repository, child) for child in children.values()] if attestations else []
    )
    for child, proof in zip(children.values(), proofs, strict=False):
        marks = {"vnd.docker.reference.digest": child.digest, "vnd.docker.reference.type": "attestation-manifest"}
        unknown = _platform("unknown/unknown")
        entries.append(_descriptor(proof.manifest, OCI_MANIFEST) | {"annotations": marks, "platform": unknown})
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, indent=2).encode()
    index = push_manifest(registry, repository, body, OCI_INDEX, tag)
    return PushedImage(index.digest, OCI_INDEX, body, children, tuple(proof.digest for proof in proofs))


def push_referrer(
    registry: str,
    repository: str,
    subject: PushedImage,
    *,
    artifact_type: str,
    annotations: Mapping[str, str] | None = None,
) -> PushedImage:
    """Push an artifact whose `subject` is an image, as a signature or an SBOM (OCI image specification 1.1)."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": _pushed_blob(registry, repository, b"{}", OCI_EMPTY),
        "layers": [_pushed_blob(registry, repository, artifact_type.encode(), artifact_type)],
        "subject": _descriptor(subject.manifest, subject.media_type),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return push_manifest(registry, repository, json.dumps(manifest).encode(), OCI_MANIFEST, None)


def push_manifest(
    registry: str, repository: str, manifest: bytes, media_type: str, tag: str | None
) -> PushedImage:
    """Push a manifest without changing its bytes. Raises PushRefused."""
    digest = sha256(manifest)
    _call("PUT", f"http://{registry}/v2/{repository}/manifests/{tag or digest}", manifest, media_type)
    return PushedImage(digest, media_type, manifest)


def push_blob(registry: str, repository: str, blob: bytes) -> str:
    """Upload a layer or config and return its digest. Raises PushRefused."""
    digest = sha256(blob)
    location = _call("POST", f"http://{registry}/v2/{repository}/blobs/uploads/", b"")["Location"]
    _call("PUT", f"http://{registry}{location}?digest={quote(digest)}", blob)
    return digest


def send(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> HTTPResponse:
    """Send a request and return the registry's answer, which the caller closes. Raises PushRefused."""
    password = base64.b64encode(b"AWS:local").decode()
    request = urllib.request.Request(
        url, body, {"Authorization": f"Basic {password}", **(headers or {})}, method=method
    )
    try:
        response: HTTPResponse = WITHOUT_PROXY.open(request)
    except urllib.error.HTTPError as error:
        with error:
            raise PushRefused(error.code, error.read().decode()) from error
    return response


def _push_attestation(registry: str, repository: str, child: PushedImage) -> PushedImage:
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": child.digest}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _pushed_blob(registry, repository, b'{"architecture":"unknown","os":"unknown"}', OCI_CONFIG),
        "layers": [_pushed_blob(registry, repository, statement, "application/vnd.in-toto+json")],
    }
    return push_manifest(registry, repository, json.dumps(manifest).encode(), OCI_MANIFEST, None)


def _pushed_blob(registry: str, repository: str, blob: bytes, media_type: str) -> dict[str, Any]:
    push_blob(registry, repository, blob)
    return _descriptor(blob, media_type)


def _descriptor(body: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256(body), "size": len(body)}


def _platform(name: str) -> dict[str, str]:
    os_name, architecture = name.split("/")
    return {"architecture": architecture, "os": os_name}


def _tar(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def _call(method: str, url: str, body: bytes, media_type: str = "application/octet-stream") -> Message:
    with send(method, url, body, {"Content-Type": media_type}) as response:
        return response.headers
