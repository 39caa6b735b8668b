"""The registry HTTP API of the local AWS has the same store, rules and events as the ECR API."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import pusher
from local.aws import LocalAws
from local.oci import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from local.pusher import PushedImage, PushRefused, push_image, push_index
from tests.adapters.conftest import Control, Queue, assert_like_sample

NOTATION = "application/vnd.cncf.notary.signature"
PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/release"


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")
def test_skopeo_pulls_and_pushes_an_index(ecr: Any, local_aws: LocalAws, repository: str, tmp_path: Path) -> None:
    """A real client copies all platforms without changing a byte."""
    index = push_index(local_aws.registry, repository, "v1", seed="skopeo", attestations=True)
    image = f"docker://{local_aws.registry}/{repository}"
    loosely = ["--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds=AWS:x", "--dest-creds=AWS:x"]
    copy = ["skopeo", "--insecure-policy", "copy", "--all", "--quiet"]
    subprocess.run([*copy, *loosely[::2], f"{image}:v1", f"dir:{tmp_path}"], check=True)
    subprocess.run([*copy, *loosely[1::2], f"dir:{tmp_path}", f"{image}:v2"], check=True)
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v2"}])["images"][0]
    assert answer["imageManifest"].encode() == index.manifest
    listed = subprocess.run(
        ["skopeo", "list-tags", "--tls-verify=false", image], check=True, capture_output=True, text=True
    )
    assert json.loads(listed.stdout)["Tags"] == ["v1", "v2"]


def test_docker_clients_pull_a_tag_that_put_image_put(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """At once, and with the media type of the push."""
    image = push_image(local_aws.registry, repository, "v1", seed="one", media_type=DOCKER_MANIFEST)
    ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag="v2")
    with pusher.send("GET", f"http://{local_aws.registry}/v2/{repository}/manifests/v2") as response:
        assert response.read() == image.manifest
        assert response.headers["Content-Type"] == DOCKER_MANIFEST
        assert response.headers["Docker-Content-Digest"] == image.digest


def test_a_push_obeys_immutability(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """Docker clients cannot move an immutable tag either; they can push a new one."""
    push_image(local_aws.registry, repository, "v1", seed="one")
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    with pytest.raises(PushRefused, match=r"TAG_INVALID.*cannot be overwritten because the tag is immutable"):
        push_image(local_aws.registry, repository, "v1", seed="two")
    push_image(local_aws.registry, repository, "v2", seed="two")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (OCI_INDEX, {"manifests": [{"digest": f"sha256:{'0' * 64}"}]}),
        (OCI_MANIFEST, {"config": {"digest": f"sha256:{'0' * 64}"}, "layers": []}),
    ],
)
def test_a_push_needs_the_layers_and_images_of_the_manifest(
    local_aws: LocalAws, repository: str, media_type: str, body: dict[str, Any]
) -> None:
    """They have to be pushed first."""
    with pytest.raises(PushRefused, match=r"MANIFEST_BLOB_UNKNOWN.*0000.*do not exist"):
        pusher.push_manifest(local_aws.registry, repository, json.dumps(body).encode(), media_type, "v1")


def test_the_parameters_of_a_content_type_are_ignored(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """They describe the transfer, not the manifest."""
    image = push_image(local_aws.registry, repository, None, seed="one")
    body, typed = image.manifest + b"\n", f"{OCI_MANIFEST}; charset=utf-8"
    pusher.push_manifest(local_aws.registry, repository, body, typed, "v1")
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"][0]
    assert answer["imageManifestMediaType"] == OCI_MANIFEST


def test_the_same_seed_makes_the_same_image(local_aws: LocalAws, repository: str) -> None:
    """Digests depend on the seed only. Attestations have both marks that distinguish them from images."""
    one, two = (push_index(local_aws.registry, repository, None, seed="same", attestations=True) for _ in range(2))
    assert one == two
    assert one.digest != push_index(local_aws.registry, repository, None, seed="other").digest
    proofs = [entry for entry in json.loads(one.manifest)["manifests"] if entry["digest"] in one.attestations]
    assert len(proofs) == 2
    for proof in proofs:
        assert proof["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
        assert proof["platform"] == {"architecture": "unknown", "os": "unknown"}


def test_every_push_sends_the_event_of_ecr(
    ecr: Any, local_aws: LocalAws, repository: str, queue: Queue, rule: Callable[..., str]
) -> None:
    """With the tag, or with an empty tag for a push by digest. PutImage sends the same event."""
    rule(queue.arn)
    image = push_image(local_aws.registry, repository, None, seed="one")
    pusher.push_manifest(local_aws.registry, repository, image.manifest, OCI_MANIFEST, "v1")
    ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag="v2")
    events = queue.bodies(3)
    detail = {
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": image.digest,
        "action-type": "PUSH",
        "manifest-media-type": OCI_MANIFEST,
        "artifact-media-type": OCI_CONFIG,
    }
    assert sorted(event["detail"]["image-tag"] for event in events) == ["", "v1", "v2"]
    for event in events:
        assert event["detail"] == detail | {"image-tag": event["detail"]["image-tag"]}
        assert (event["detail-type"], event["resources"]) == ("ECR Image Action", [])
        assert event["account"] == local_aws.account_id
        assert_like_sample(event, "ecr-image-action.push.tagged-real.json")


def test_a_pushed_referrer_sends_an_event_of_its_own(
    local_aws: LocalAws, repository: str, queue: Queue, rule: Callable[..., str]
) -> None:
    """It names the referrer; its subject is in the referrer's manifest, and in DescribeImages."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    rule(queue.arn)
    signature = pusher.push_referrer(local_aws.registry, repository, image, artifact_type=NOTATION)
    (event,) = queue.bodies(1)
    assert event["detail-type"] == "ECR Referrer Action"
    assert event["detail"] == {
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": signature.digest,
        "image-tag": "",
        "action-type": "PUSH",
        "manifest-media-type": OCI_MANIFEST,
        "artifact-media-type": NOTATION,
    }


def test_a_signature_by_tag_is_an_image_to_ecr(
    local_aws: LocalAws, repository: str, queue: Queue, rule: Callable[..., str]
) -> None:
    """Cosign 2 puts a tag, which names what it signs; its manifest has no subject."""
    rule(queue.arn)
    tag = f"sha256-{'0' * 64}.sig"
    push_image(local_aws.registry, repository, tag, seed="signature")
    (event,) = queue.bodies(1)
    assert (event["detail-type"], event["detail"]["image-tag"]) == ("ECR Image Action", tag)


def test_managed_signing_attaches_its_signature(
    ecr: Any, control: Control, local_aws: LocalAws, repository: str, queue: Queue, rule: Callable[..., str]
) -> None:
    """When it is complete, and with the event of a pushed referrer."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    rule(queue.arn)
    asked = {"repositoryName": repository, "imageDigest": image.digest, "signingProfileArn": PROFILE}
    for status in ("IN_PROGRESS", "COMPLETE"):
        assert control("POST", "/signatures", asked | {"status": status})[0] == 200
    (event,) = queue.bodies(1)
    (referrer,) = ecr.list_image_referrers(repositoryName=repository, subjectId={"imageDigest": image.digest})[
        "referrers"
    ]
    assert (referrer["digest"], referrer["artifactType"]) == (event["detail"]["image-digest"], NOTATION)


def test_requests_of_docker_clients_are_recorded(control: Control, local_aws: LocalAws, repository: str) -> None:
    """GET /_local/calls lists them with their sizes."""
    control("DELETE", "/calls")
    image: PushedImage = push_image(local_aws.registry, repository, "v1", seed="one")
    calls = [call for call in control("GET", "/calls")[1]["calls"] if call["service"] == "registry"]
    assert [call["operation"] for call in calls].count("PUT blob upload session") == 2
    assert (calls[-1]["operation"], calls[-1]["status"]) == ("PUT manifest", 201)
    assert calls[-1]["requestBytes"] == len(image.manifest)


def test_referrers_are_served_to_docker_clients(local_aws: LocalAws, repository: str) -> None:
    """By the referrers route of the OCI distribution specification 1.1."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    signature = pusher.push_referrer(local_aws.registry, repository, image, artifact_type="application/x")
    with pusher.send("GET", f"http://{local_aws.registry}/v2/{repository}/referrers/{image.digest}") as response:
        assert [entry["digest"] for entry in json.load(response)["manifests"]] == [signature.digest]


def test_referrers_are_filtered_by_their_type(local_aws: LocalAws, repository: str) -> None:
    """A header says that the answer is filtered. Without it a client filters by itself."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    wanted = pusher.push_referrer(local_aws.registry, repository, image, artifact_type="application/x")
    pusher.push_referrer(local_aws.registry, repository, image, artifact_type="application/y")
    address = f"http://{local_aws.registry}/v2/{repository}/referrers/{image.digest}?artifactType=application/x"
    with pusher.send("GET", address) as response:
        assert [entry["digest"] for entry in json.load(response)["manifests"]] == [wanted.digest]
        assert response.headers["OCI-Filters-Applied"] == "artifactType"
