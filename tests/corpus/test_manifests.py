"""Every manifest of the corpus is promoted byte for byte by the ECR adapter on the local AWS, or refused."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import process
from local.aws import LocalAws
from promoter.aws.ecr.registry import EcrRegistry
from promoter.domain import brought_manifest, manifest
from promoter.domain.errors import InvalidRequest
from promoter.domain.model import ImageId, Manifest, Outcome, Promotion, Repository, Source, Trigger
from tests.corpus.conftest import CORPUS, files, name
from tests.support.answers import promote
from tests.support.ledgers import dependencies
from tests.support.policies import ACCOUNT, policy, rule

NEGATIVE = {"not-json.manifest.json", "unknown-version.manifest.json"}
MANIFESTS = [file for file in files("manifests") if file.name not in NEGATIVE]

SCHEMA_1, SIGNS = "is a Docker schema 1 manifest", "is a signature or attestation"
SUBJECT, ARTIFACT_TYPE = "has the key subject", "has the key artifactType"
NOT_TAKEN = {
    "docker-schema1.signed.json": SCHEMA_1,
    "docker-schema1.unsigned.json": SCHEMA_1,
    "oci-index.all-fields.json": SUBJECT,
    "oci-manifest.all-fields.json": SUBJECT,
    "oras-index-subject.json": SUBJECT,
    "oras-sbom-subject.json": SUBJECT,
    "oras-signature-subject.json": SUBJECT,
    "signature.json": SUBJECT,
    "oci-artifact.layers.json": ARTIFACT_TYPE,
    "oci-index.artifacts-only.json": ARTIFACT_TYPE,
    "cosign-signature.no-mediatype.json": SIGNS,
    "amd64-attestation.json": SIGNS,
    "arm64-attestation.json": SIGNS,
    "not-json.manifest.json": "is not JSON",
    "unknown-version.manifest.json": "is not an image manifest or index",
}
"""Manifests that are promoted from the registry but refused in a request, with the reason."""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS for this module."""
    directory = tmp_path_factory.mktemp("local-aws")
    try:
        yield process.start(directory)
    finally:
        process.stop(directory)


@pytest.fixture
def repository(aws: LocalAws) -> Repository:
    """A new repository for each test."""
    found = Repository(aws.account_id, f"team/{uuid.uuid4().hex[:8]}")
    aws.client("ecr").create_repository(repositoryName=found.name)
    return found


def stated_digest(file: Path) -> str:
    """Return the digest in the corpus's list. A signed manifest has two: the last one, of its payload, counts."""
    listed = (CORPUS / "manifests" / "SOURCES.md").read_text().splitlines()
    row = next(line for line in listed if f"| `{file.relative_to(CORPUS / 'manifests')}` |" in line)
    return f"sha256:{re.findall(r'[0-9a-f]{64}', row)[-1]}"


def store(aws: LocalAws, repository: Repository, file: Path) -> None:
    """Store the bytes of the file in the registry as an image with the tag build-1."""
    body = file.read_bytes()
    request = {
        "repositoryName": repository.name,
        "manifestBase64": base64.b64encode(body).decode(),
        "imageManifestMediaType": manifest.media_type_of(body),
        "imageTag": "build-1",
    }
    aws.control("POST", "images", request)


@pytest.mark.parametrize("file", MANIFESTS, ids=name)
def test_a_stored_manifest_is_promoted_byte_for_byte(aws: LocalAws, repository: Repository, file: Path) -> None:
    """Whatever its kind is: the promoted tag has the same bytes and the same digest."""
    store(aws, repository, file)
    registry = EcrRegistry(aws.client("ecr"))
    promotion = Promotion("p", Trigger.REQUEST, repository, Source(ImageId("build-1")), ("prod",))

    answer = promote(promotion, dependencies(policy(rule()), registry))

    promoted = registry.read(repository, [ImageId("prod")])[ImageId("prod")]
    assert answer.outcome is Outcome.PROMOTED
    assert isinstance(promoted, Manifest)
    assert promoted.body == file.read_bytes()
    assert promoted.digest == stated_digest(file)


@pytest.mark.parametrize("file", [f for f in MANIFESTS if f.name not in NOT_TAKEN], ids=name)
def test_the_manifest_of_a_request_is_read(file: Path) -> None:
    """With the media type of the body or of its shape, and the digest in the corpus's list."""
    read = brought_manifest.parse(file.read_bytes())

    assert read.body == file.read_bytes()
    assert read.digest == stated_digest(file)
    assert read.media_type == json.loads(read.body).get("mediaType", read.media_type)


@pytest.mark.parametrize(
    "file", [f for f in files("manifests") if f.name in NOT_TAKEN] or [Path("no corpus")], ids=name
)
def test_a_manifest_that_a_request_may_not_have_is_refused(file: Path) -> None:
    """With the reason and the name of the field."""
    with pytest.raises(InvalidRequest, match=NOT_TAKEN.get(file.name, "")) as caught:
        brought_manifest.parse(file.read_bytes())
    assert caught.value.field == "imageManifest"


def test_the_account_of_the_tests_is_that_of_the_local_aws(aws: LocalAws) -> None:
    """The policies of these tests are for this account."""
    assert aws.account_id == ACCOUNT
