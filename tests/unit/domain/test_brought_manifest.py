"""Which manifests a request may bring along."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from promoter.domain.brought_manifest import parse
from promoter.domain.errors import InvalidRequest
from promoter.domain.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SIGNED_V1,
    DOCKER_V1,
    OCI_INDEX,
    OCI_MANIFEST,
)

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json"}
SUBJECT = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "a" * 64, "size": 7}


def image(**members: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": []} | members).encode()


def index(**members: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": []} | members).encode()


def refusal(body: bytes, media_type: str | None = None) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body, media_type=media_type)
    return caught.value


@pytest.mark.parametrize("tail", ["", "\n", "\r\n", " \t"])
def test_every_byte_counts_for_the_digest(tail: str) -> None:
    """A trailing newline belongs to the manifest, as it does in ECR."""
    body = image() + tail.encode()

    assert parse(body).body == body
    assert parse(body).digest == "sha256:" + hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (image(mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST),
        (image(), OCI_MANIFEST),
        (image(mediaType=None), OCI_MANIFEST),
        (image(layers=None), OCI_MANIFEST),
        (image(config={"mediaType": "application/vnd.cncf.helm.config.v1+json"}), OCI_MANIFEST),
        (image(config={"mediaType": "application/vnd.docker.container.image.v1+json"}), DOCKER_MANIFEST),
        (image(annotations={"subject": "a", "Config": "b", "artifactType": "c"}), OCI_MANIFEST),
        (
            image(layers=[{"mediaType": "application/vnd.oci.image.layer.v1.tar", "artifactType": "a"}]),
            OCI_MANIFEST,
        ),
        (index(), OCI_INDEX),
        (index(manifests=[{"artifactType": "a", "digest": "sha256:" + "a" * 64}]), OCI_INDEX),
        (index(mediaType=DOCKER_LIST), DOCKER_LIST),
    ],
)
def test_images_and_indexes_are_taken_as_what_they_are(body: bytes, media_type: str) -> None:
    """By the body's mediaType, or else by its shape. What stands deeper in it is the image's own business."""
    assert parse(body).media_type == media_type


def test_the_caller_may_name_the_media_type_of_a_body_without() -> None:
    """The caller's word decides where the body is silent."""
    assert parse(image(), media_type=DOCKER_MANIFEST).media_type == DOCKER_MANIFEST
    assert parse(index(), media_type=DOCKER_LIST).media_type == DOCKER_LIST


def test_four_mebibytes_fit() -> None:
    """PutImage's own limit, to the byte."""
    body = image()
    body += b" " * (4 * 1024 * 1024 - len(body))

    assert parse(body).body == body
    assert refusal(body + b" ").field == "imageManifest"


@pytest.mark.parametrize(
    ("body", "media_type", "field"),
    [
        (b"", None, "imageManifest"),
        (b"{", None, "imageManifest"),
        (b"null", None, "imageManifest"),
        (b"\xff\xfe", None, "imageManifest"),
        (b"{}", None, "imageManifest"),
        (b'{"schemaVersion": 2, "manifests": {}}', None, "imageManifest"),
        (json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST}).encode(), None, "imageManifest"),
        (image(mediaType="text/html"), None, "imageManifest"),
        (image(mediaType=7), None, "imageManifest"),
        (image(mediaType=[OCI_MANIFEST]), None, "imageManifest"),
        (image(mediaType=OCI_INDEX), None, "imageManifest"),
        (index(mediaType=OCI_MANIFEST), None, "imageManifest"),
        (image(mediaType=OCI_MANIFEST), DOCKER_MANIFEST, "imageManifestMediaType"),
        (image(), OCI_INDEX, "imageManifestMediaType"),
        (index(), OCI_MANIFEST, "imageManifestMediaType"),
        (image(), "text/html", "imageManifestMediaType"),
        (image(), "", "imageManifestMediaType"),
        (image(), "x" * 300_000, "imageManifestMediaType"),
    ],
)
def test_what_is_not_an_image_or_index_is_refused(body: bytes, media_type: str | None, field: str) -> None:
    """The field that is wrong is named, and what is told of it is short."""
    refused = refusal(body, media_type)

    assert refused.field == field
    assert len(refused.detail) < 400


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b'{"schemaVersion": 1, "fsLayers": []}', None),
        (b'{"schemaVersion": 1, "fsLayers": [], "signatures": []}', None),
        (b'{"schemaVersion": 1, "fsLayers": []}', DOCKER_V1),
        (image(schemaVersion=1), None),
        (image(fsLayers=[]), None),
        (image(FSLayers=[]), None),
        (image(mediaType=DOCKER_V1), None),
        (image(mediaType=DOCKER_SIGNED_V1), None),
        (image(mediaType=DOCKER_SIGNED_V1), DOCKER_SIGNED_V1),
        (image(), DOCKER_SIGNED_V1),
        (image(), DOCKER_V1),
    ],
)
def test_docker_schema_1_is_refused(body: bytes, media_type: str | None) -> None:
    """By media type, by the body's word or by its shape: others than the judged bytes could have its digest."""
    assert refusal(body, media_type).field in {"imageManifest", "imageManifestMediaType"}


def test_no_body_can_be_given_the_digest_of_another() -> None:
    """A signature block says which bytes of a schema 1 manifest count: here, those of a clean image."""
    clean = image()
    tail = base64.urlsafe_b64encode(clean[1:]).decode()
    header = base64.urlsafe_b64encode(json.dumps({"formatLength": 1, "formatTail": tail}).encode()).decode()
    forged = image(signatures=[{"protected": header.rstrip("=")}])

    assert parse(clean).digest != parse(forged).digest
    assert refusal(forged, DOCKER_SIGNED_V1).field == "imageManifestMediaType"


@pytest.mark.parametrize(
    "body",
    [
        b'{"schemaVersion": 2, "schemaVersion": 2, "manifests": []}',
        b'{"schemaVersion": 2, "manifests": [], "Manifests": []}',
        b'{"schemaVersion": 2, "manifests": [{"digest": "a", "Digest": "b"}]}',
        b'{"schemaVersion": 2, "config": {"mediaType": "a", "mediatype": "b"}, "layers": []}',
        b'{"schemaVersion": 2, "config": {"mediaType": "a"}, "layers": [{"digest": "a", "digest": "b"}]}',
        image(Config=CONFIG),
        image(annotations={"a": {"b": {"c": 1, "C": 2}}}),
    ],
)
def test_a_key_stands_there_once(body: bytes) -> None:
    """In any case, at any depth: clients do not agree which of two counts."""
    refused = refusal(body)

    assert refused.field == "imageManifest"
    assert "twice" in refused.detail


@pytest.mark.parametrize("name", ["Config", "LAYERS", "layer\u017f", "Manifests", "Subject", "ArtifactType"])
def test_a_key_that_go_reads_as_another_is_refused(name: str) -> None:
    """Clients written in Go read it, clients in other languages do not."""
    assert "write it so" in refusal(json.dumps({"schemaVersion": 2, name: []}).encode()).detail


@pytest.mark.parametrize("body", [image(manifests=[]), index(config=None), index(layers=[])])
def test_a_manifest_is_an_image_or_an_index_and_not_both(body: bytes) -> None:
    """CVE-2021-41190: some clients would pull what the gate has not judged."""
    assert "manifests beside" in refusal(body).detail


@pytest.mark.parametrize(
    "body",
    [
        image(subject=SUBJECT),
        image(subject=None),
        image(mediaType=OCI_MANIFEST, subject=SUBJECT),
        index(subject=SUBJECT),
        image(artifactType="application/vnd.dev.cosign.artifact.sig.v1+json"),
        index(artifactType=""),
        image(config={"mediaType": "application/vnd.cncf.notary.signature"}),
        image(config={"mediaType": "Application/VND.cncf.notary.signature"}),
        image(layers=[{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json"}]),
        image(layers=[{}, 7, {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}]),
        image(layers=[{"mediaType": "application/vnd.dsse.envelope.v1+json"}]),
        image(layers=[{"mediaType": "application/vnd.in-toto+json"}]),
    ],
)
def test_a_signature_or_attestation_is_refused(body: bytes) -> None:
    """The function would put it with its own rights, for a caller who may not push."""
    refused = refusal(body)

    assert refused.field == "imageManifest"
    assert "signature or attestation" in refused.detail


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + image(),
        image().decode().encode("utf-16"),
        b'{"schemaVersion": 2, "manifests": [], "a": NaN}',
        b'{"schemaVersion": 2, "manifests": [], "a": ' + b"9" * 5000 + b"}",
        b'{"schemaVersion": 2, "manifests": ' + b"[" * 5000,
        b'{"schemaVersion": 2, "manifests": [], "a": "' + b"x" * 5000 + b"\n" + b'"}',
        json.dumps({"schemaVersion": 2, "k" * 300_000: 1, "K" * 300_000: 2}).encode(),
        json.dumps({"schemaVersion": 2, "manifests": [], "mediaType": "x" * 300_000}).encode(),
    ],
)
def test_what_not_all_clients_read_is_refused_in_a_sentence(body: bytes) -> None:
    """No oddity of JSON ends in another error, and none makes a long answer."""
    refused = refusal(body)

    assert refused.field == "imageManifest"
    assert len(refused.detail) < 400
