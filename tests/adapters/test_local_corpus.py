"""The local AWS compared with recorded output of AWS and of other tools; needs the corpus (PROMOTER_CORPUS)."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from local.oci import OCI_INDEX, OCI_MANIFEST, sha256
from tests.adapters.conftest import Control

CORPUS = Path(os.environ.get("PROMOTER_CORPUS", "/nonexistent"))
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus")
SCHEMA_1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
# The digests that AWS prints for these manifests: a PutImage sample of CloudTrail and two examples of the AWS CLI.
PRINTED = {
    "docker-schema2.awscli-batchgetimage.json": "sha256:4a1c6567",
    "docker-schema2.awscli-putimage-trailing-newline.json": "sha256:8ece96b7",
    "docker-schema2.ecr-cloudtrail-doc.json": "sha256:98c8b060",
    # The digest of a signed manifest is that of its payload (a test of containers/image).
    "docker-schema1.signed.json": "sha256:7364fea9",
}


MANIFESTS = CORPUS / "manifests"
PATHS = sorted(MANIFESTS.rglob("*.json"))


def store(control: Control, repository: str, body: bytes, media_type: str, tag: str) -> str:
    """Store the bytes and return their digest."""
    status, answer = control(
        "POST",
        "/images",
        {
            "repositoryName": repository,
            "manifestBase64": base64.b64encode(body).decode(),
            "imageManifestMediaType": media_type,
            "imageTag": tag,
        },
    )
    assert status == 200, answer
    digest: str = answer["imageDigest"]
    return digest


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_every_manifest_comes_back_byte_by_byte(ecr: Any, control: Control, repository: str, path: Path) -> None:
    """With unusual JSON, trailing newlines and tabs. Only bytes that are not UTF-8 are replaced in an answer."""
    body = path.read_bytes()
    signed = path.name == "docker-schema1.signed.json"
    media_type = SCHEMA_1_SIGNED if signed else OCI_INDEX if b'"manifests"' in body else OCI_MANIFEST
    digest = store(control, repository, body, media_type, "v1")
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["images"][0]
    assert answer["imageManifest"] == body.decode("utf-8", errors="replace")
    assert signed or digest == sha256(body)
    assert digest.startswith(PRINTED.get(path.name, "sha256:"))
    assert len(ecr.describe_images(repositoryName=repository)["imageDetails"]) == 1


def test_findings_have_the_members_that_aws_printed(ecr: Any, control: Control, repository: str) -> None:
    """A basic scan's answer has every member of the AWS CLI's example except the texts about the vulnerability."""
    digest = store(control, repository, b"{}", OCI_MANIFEST, "v1")
    finding = {"id": "CVE-2019-5188", "severity": "MEDIUM", "package": "e2fsprogs", "version": "1.44.1-1ubuntu1.1"}
    control("POST", "/scans", {"repositoryName": repository, "imageDigest": digest, "findings": [finding]})
    answer = ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageDigest": digest})
    printed = json.loads((CORPUS / "events" / "describe-image-scan-findings.basic.json").read_text())
    assert answer.keys() - {"ResponseMetadata"} == printed.keys()
    assert answer["imageScanFindings"].keys() == printed["imageScanFindings"].keys()
    assert answer["imageScanStatus"] == printed["imageScanStatus"]
    shown, expected = answer["imageScanFindings"]["findings"][0], printed["imageScanFindings"]["findings"][0]
    assert shown.keys() == expected.keys() - {"description"}
    assert [entry for entry in expected["attributes"] if "CVSS" not in entry["key"]] == shown["attributes"]
