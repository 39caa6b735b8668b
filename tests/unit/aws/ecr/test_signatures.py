"""Signatures, told from everything else that refers to an image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from promoter.aws.ecr.signatures import listed, stored

IMAGE = "sha256:" + "a" * 64
NOTATION = "application/vnd.cncf.notary.signature"
COSIGN = "application/vnd.dev.cosign.artifact.sig.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "application/vnd.oci.empty.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
SIGN = {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}
PROVENANCE = {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}


@pytest.mark.parametrize(
    ("kind", "annotations", "signature"),
    [
        (NOTATION, {}, True),
        (COSIGN, {}, True),
        (BUNDLE, SIGN, True),
        ("application/vnd.dev.sigstore.bundle+json;version=0.2", SIGN, True),
        (BUNDLE, PROVENANCE, False),
        (BUNDLE, {"dev.sigstore.bundle.predicateType": ""}, False),
        (BUNDLE, {"dev.sigstore.bundle.content": "dsse-envelope"}, None),
        (BUNDLE, None, None),
        (None, SIGN, None),
        (EMPTY, {}, None),
        (CONFIG, {}, None),
        ("application/spdx+json", SIGN, False),
        ("application/vnd.in-toto+json", {}, False),
    ],
)
def test_a_listed_referrer_is_told_by_type_and_predicate(
    kind: str | None, annotations: dict[str, str] | None, *, signature: bool | None
) -> None:
    """A bundle without a predicate, and what has no telling type, only its manifest can tell."""
    entry = {"digest": "sha256:b", "artifactType": kind, "annotations": annotations}
    told = {name: value for name, value in entry.items() if value is not None}

    assert listed(told) is signature


def manifest(
    *layers: str, artifact_type: Any = None, config: Any = EMPTY, annotations: Any = None, subject: Any = IMAGE
) -> bytes:
    members = {
        "artifactType": artifact_type,
        "config": {"mediaType": config},
        "layers": [{"mediaType": layer} for layer in layers],
        "annotations": annotations,
        "subject": {"digest": subject},
    }
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (manifest("application/jose+json", config=NOTATION), True),  # notation 1.0
        (manifest("application/cose", artifact_type=NOTATION), True),  # notation 1.1 and later
        (manifest(SIMPLE_SIGNING, config=COSIGN), True),  # without artifactType: sigstore/cosign#4995
        (manifest(SIMPLE_SIGNING, artifact_type=COSIGN), True),
        (manifest(SIMPLE_SIGNING, SIMPLE_SIGNING, config=CONFIG), True),
        (manifest(BUNDLE, artifact_type=BUNDLE, annotations=SIGN), True),  # cosign 3
        (manifest(BUNDLE, annotations=SIGN), True),
        (manifest(BUNDLE, artifact_type=BUNDLE, annotations=PROVENANCE), False),
        (manifest(BUNDLE, artifact_type=BUNDLE), False),
        (manifest(BUNDLE, config=NOTATION), False),
        (manifest(DSSE, config=CONFIG), False),  # cosign attest
        (manifest(SIMPLE_SIGNING, DSSE, config=CONFIG), False),
        (manifest(config=CONFIG), False),
        (manifest(SIMPLE_SIGNING, artifact_type="application/spdx+json"), False),
        (manifest(SIMPLE_SIGNING, config=COSIGN, subject="sha256:" + "b" * 64), False),
        (manifest(SIMPLE_SIGNING, config=COSIGN, subject=None), False),
        (manifest(BUNDLE, artifact_type=BUNDLE, annotations=["x"]), False),
        (manifest(SIMPLE_SIGNING, artifact_type=[COSIGN], config={}), True),
        (json.dumps({"subject": {"digest": IMAGE}, "layers": [None, 7]}).encode(), False),
        (json.dumps({"subject": {"digest": IMAGE}, "manifests": []}).encode(), False),
        (b"[]", False),
        (b"not JSON", False),
        (b"\xff", False),
        (b"[" * 100_000, False),
    ],
)
def test_a_manifest_is_told_by_what_signers_write(body: bytes, *, signature: bool) -> None:
    """What is known to be a signature of this image, and nothing else; whatever the bytes are."""
    assert stored(body, IMAGE) is signature
