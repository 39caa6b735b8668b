"""What is read off a manifest's bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from promoter.errors import InvalidRequest
from promoter.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SIGNED_V1,
    DOCKER_V1,
    OCI_INDEX,
    OCI_MANIFEST,
    Child,
    children,
    digest_of,
    media_type_of,
    parse,
)


def document(config: str = "application/vnd.oci.image.config.v1+json", **members: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": {"mediaType": config}, "layers": []} | members).encode()


def signed() -> tuple[bytes, bytes]:
    """Return a signed Docker schema 1 manifest and what its digest is made of."""
    payload = b'{\n   "schemaVersion": 1,\n   "fsLayers": []\n}'
    header = {
        "formatLength": len(payload) - 2,
        "formatTail": base64.urlsafe_b64encode(b"\n}").decode().rstrip("="),
    }
    protected = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    signatures = json.dumps([{"protected": protected, "signature": "x"}]).encode()
    return payload[:-2] + b',\n   "signatures": ' + signatures + b"\n}", payload


@pytest.mark.parametrize("tail", ["", "\n", "\r\n", " \t"])
def test_every_byte_counts_for_the_digest(tail: str) -> None:
    """A trailing newline belongs to the manifest, as it does in ECR."""
    body = document() + tail.encode()

    assert parse(body).body == body
    assert parse(body).digest == "sha256:" + hashlib.sha256(body).hexdigest()


def test_a_signed_manifest_is_digested_without_its_signatures() -> None:
    """Docker schema 1: registries know the payload, not the signed envelope."""
    body, payload = signed()

    assert parse(body).media_type == DOCKER_SIGNED_V1
    assert digest_of(body, DOCKER_SIGNED_V1) == "sha256:" + hashlib.sha256(payload).hexdigest()


def test_a_broken_signature_is_digested_as_it_is() -> None:
    """Nothing is guessed: the digest of all bytes will not match, and the manifest is refused."""
    body = b'{"schemaVersion": 1, "fsLayers": [], "signatures": [{"protected": "!!!"}]}'

    assert digest_of(body, DOCKER_SIGNED_V1) == "sha256:" + hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (document(mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST),
        (document(), OCI_MANIFEST),
        (document(layers=None), OCI_MANIFEST),
        (document("application/vnd.cncf.helm.config.v1+json"), OCI_MANIFEST),
        (document("application/vnd.docker.container.image.v1+json"), DOCKER_MANIFEST),
        (b'{"schemaVersion": 2, "manifests": []}', OCI_INDEX),
        (json.dumps({"schemaVersion": 2, "manifests": [], "mediaType": DOCKER_LIST}).encode(), DOCKER_LIST),
        (b'{"schemaVersion": 1, "fsLayers": []}', DOCKER_V1),
    ],
)
def test_the_media_type_is_the_manifests_own_or_its_shapes(body: bytes, media_type: str) -> None:
    """A body without mediaType still gets the one that PutImage needs."""
    assert media_type_of(body) == media_type
    assert parse(body).media_type == media_type


def test_the_caller_may_name_the_media_type_of_a_body_without() -> None:
    """The caller's word decides where the body is silent."""
    assert parse(document(), media_type=DOCKER_MANIFEST).media_type == DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("body", "media_type", "field"),
    [
        (b"", None, "imageManifest"),
        (b"{", None, "imageManifest"),
        (b"null", None, "imageManifest"),
        (b"\xff\xfe", None, "imageManifest"),
        (b"{}", None, "imageManifest"),
        (b'{"schemaVersion": 2, "manifests": {}}', None, "imageManifest"),
        (document(mediaType="text/html"), None, "imageManifest"),
        (document(mediaType=7), None, "imageManifest"),
        (document(mediaType=OCI_MANIFEST), DOCKER_MANIFEST, "imageManifestMediaType"),
        (document(), "text/html", "imageManifestMediaType"),
        (document() + b" " * 4 * 1024 * 1024, None, "imageManifest"),
    ],
)
def test_what_is_no_manifest_is_refused(body: bytes, media_type: str | None, field: str) -> None:
    """The field that is wrong is named."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body, media_type=media_type)
    assert caught.value.field == field


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize("rest", ["", ', "platform": null, "annotations": null', ', "Foo": 1, "data": "e30="'])
def test_an_entry_may_say_little(rest: str) -> None:
    """Nothing but the digest is needed."""
    body = f'{{"manifests": [{{"digest": "{DIGEST}"{rest}}}]}}'.encode()

    assert children(body) == (Child(DIGEST, "unknown"),)


@pytest.mark.parametrize(
    "document",
    [
        '{"manifests": [], "Manifests": []}',
        '{"manifests": [], "manifests": []}',
        '{"manifests": [], "manife\u017ft\u017f": []}',
        '{"manifests": [{"digest": "D", "Digest": "E"}]}',
        '{"manifests": [{"digest": "D", "digest": "E"}]}',
        '{"manifests": [{"digest": "D", "mediaType": "x", "MediaType": "y"}]}',
        '{"manifests": [{"digest": "D", "platform": {}, "Platform": {}}]}',
        '{"manifests": [{"digest": "D", "platform": {"os": "unknown", "OS": "linux"}}]}',
        '{"manifests": [{"digest": "D", "annotations": {}, "Annotations": {}}]}',
        '{"manifests": [{"digest": "D", "annotations": {"a": "b", "a": "c"}}]}',
    ],
)
def test_an_index_that_reads_in_two_ways_is_unreadable(document: str) -> None:
    """Go's clients take keys in whatever case, the last one of several: they would pull what was not judged."""
    with pytest.raises(ValueError, match="key"):
        children(document.encode())


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        "{}",
        '{"manifests": null}',
        '{"manifests": {}}',
        '{"manifests": ["D"]}',
        '{"manifests": [null]}',
        '{"manifests": [{}]}',
        '{"manifests": [{"digest": 7}]}',
        '{"manifests": [{"digest": "D", "mediaType": ["x"]}]}',
        '{"manifests": [{"digest": "D", "platform": "linux/amd64"}]}',
        '{"manifests": [{"digest": "D", "annotations": ["a"]}]}',
    ],
)
def test_an_index_of_the_wrong_shape_is_unreadable(document: str) -> None:
    """No entry is left out because it cannot be understood."""
    with pytest.raises(ValueError, match="index"):
        children(document.encode())


@pytest.mark.parametrize(
    "platform",
    ['{"os": "unknown", "variant": "unknown", "Architecture": "amd64"}', '{"os": "unknown"}', "null"],
)
def test_an_attestation_has_exactly_buildxs_platform(platform: str) -> None:
    """Nothing that a client could take for a real one."""
    marks = f'"annotations": {{"vnd.docker.reference.type": "attestation-manifest"}}, "platform": {platform}'
    (child,) = children(f'{{"manifests": [{{"digest": "{DIGEST}", {marks}}}]}}'.encode())

    assert not child.is_attestation


def test_four_mebibytes_fit() -> None:
    """PutImage's own limit, to the byte."""
    body = document()
    body += b" " * (4 * 1024 * 1024 - len(body))

    assert parse(body).body == body
