"""What is read off a manifest's bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from promoter.domain.manifest import (
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


def test_a_signed_manifest_is_digested_without_its_signatures() -> None:
    """Docker schema 1: registries know the payload, not the signed envelope."""
    body, payload = signed()

    assert media_type_of(body) == DOCKER_SIGNED_V1
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
        '{"manifests": [], "config": {}}',
        '{"manifests": [], "layers": null}',
        '{"manifests": [], "Config": {}}',
        '{"manifests": [], "LAYERS": []}',
        '{"manifests": [], "layer\u017f": []}',
        '{"manifests": [], "fsLayers": []}',
        '{"Manifests": []}',
        "[]",
        "{}",
        '{"manifests": null}',
        '{"manifests": {}}',
        '{"manifests": ["D"]}',
        '{"manifests": [null]}',
        '{"manifests": [{}]}',
        '{"manifests": [{"digest": 7}]}',
        '{"manifests": [{"digest": "sha256"}]}',
        '{"manifests": [{"digest": "\\ud800:a"}]}',
        '{"manifests": [{"digest": "D", "mediaType": ["x"]}]}',
        '{"manifests": [{"digest": "D", "platform": "linux/amd64"}]}',
        '{"manifests": [{"digest": "D", "annotations": ["a"]}]}',
    ],
)
def test_an_index_of_the_wrong_shape_is_unreadable(document: str) -> None:
    """No entry is left out because it cannot be understood; what could be taken for an image is not an index."""
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


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"manifests": []}',
        '{"manifests": []}'.encode("utf-16"),
        b'{"manifests": [], "annotations": NaN}',
        b'{"manifests": [], "annotations": {"a": -Infinity}}',
        b'{"manifests": [], "size": ' + b"9" * 5000 + b"}",
        b'{"manifests": ' + b"[" * 5000,
        b'{"manifests": [], "a": "\xff"}',
    ],
)
def test_what_only_some_clients_can_read_is_unreadable(body: bytes) -> None:
    """Go takes neither a byte order mark nor NaN; no limit of Python's json ends in another error."""
    with pytest.raises(ValueError, match=r"JSON|BOM|utf-8|deep|limit"):
        children(body)


@pytest.mark.parametrize(
    "document",
    [
        {"manifests": [], "annotations": {"k" * 300_000: 1, "K" * 300_000: 2}},
        {"manifests": [{"digest": "sha256:" + "a" * 300_000}]},
        {"manifests": [{"digest": "x" * 300_000}]},
    ],
)
def test_an_error_tells_no_more_of_a_manifest_than_fits_into_a_record(document: Any) -> None:
    """Whoever pushes chooses the text; a record, its announcement and a log line have to hold it."""
    with pytest.raises(ValueError, match="…") as caught:
        children(json.dumps(document).encode())
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("platform", "told"),
    [
        ({"os": "x" * 300_000}, "x" * 99 + "…"),
        ({"os": "linux", "architecture": "\ud800"}, "linux/\\ud800"),
        ({"os": ["linux"], "architecture": "arm64"}, "arm64"),
    ],
)
def test_a_platform_is_told_in_a_hundred_characters(platform: Any, told: str) -> None:
    """It stands in reasons, records and announcements."""
    body = json.dumps({"manifests": [{"digest": DIGEST, "platform": platform}]}).encode()

    assert [child.platform for child in children(body)] == [told]


def test_a_stored_manifest_that_is_nested_too_deep_is_digested_as_it_is() -> None:
    """Its signatures cannot be read; nothing fails."""
    body = b'{"signatures": ' + b"[" * 5000

    assert digest_of(body, DOCKER_SIGNED_V1) == "sha256:" + hashlib.sha256(body).hexdigest()
