"""The registry side of the local AWS: docker clients meet the same store, the same rules and the same events."""

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


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")
def test_skopeo_copies_an_index_there_and_back(
    ecr: Any, local_aws: LocalAws, repository: str, tmp_path: Path
) -> None:
    """A real client pulls and pushes all platforms without a byte changing."""
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


def test_what_the_api_tags_the_registry_serves(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """A tag put by PutImage is pulled by docker clients at once, in the type it was pushed with."""
    image = push_image(local_aws.registry, repository, "v1", seed="one", media_type=DOCKER_MANIFEST)
    ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag="v2")
    with pusher.send("GET", f"http://{local_aws.registry}/v2/{repository}/manifests/v2") as response:
        assert response.read() == image.manifest
        assert response.headers["Content-Type"] == DOCKER_MANIFEST
        assert response.headers["Docker-Content-Digest"] == image.digest


def test_a_push_obeys_immutability(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """An immutable tag is refused to docker clients as to PutImage, and a new one is not."""
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
def test_a_push_needs_what_it_refers_to(
    local_aws: LocalAws, repository: str, media_type: str, body: dict[str, Any]
) -> None:
    """Children and layers come first."""
    with pytest.raises(PushRefused, match=r"MANIFEST_BLOB_UNKNOWN.*0000.*do not exist"):
        pusher.push_manifest(local_aws.registry, repository, json.dumps(body).encode(), media_type, "v1")


def test_parameters_of_a_content_type_are_not_the_manifests(
    ecr: Any, local_aws: LocalAws, repository: str
) -> None:
    """What follows the semicolon is about the transfer."""
    image = push_image(local_aws.registry, repository, None, seed="one")
    body, typed = image.manifest + b"\n", f"{OCI_MANIFEST}; charset=utf-8"
    pusher.push_manifest(local_aws.registry, repository, body, typed, "v1")
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"][0]
    assert answer["imageManifestMediaType"] == OCI_MANIFEST


def test_the_same_seed_makes_the_same_image(local_aws: LocalAws, repository: str) -> None:
    """Digests follow from the seed; attestations carry both marks by which they are told from images."""
    one, two = (push_index(local_aws.registry, repository, None, seed="same", attestations=True) for _ in range(2))
    assert one == two
    assert one.digest != push_index(local_aws.registry, repository, None, seed="other").digest
    proofs = [entry for entry in json.loads(one.manifest)["manifests"] if entry["digest"] in one.attestations]
    assert len(proofs) == 2
    for proof in proofs:
        assert proof["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
        assert proof["platform"] == {"architecture": "unknown", "os": "unknown"}


def test_every_push_is_told_as_ecr_tells_it(
    ecr: Any, local_aws: LocalAws, repository: str, queue: Queue, rule: Callable[..., str]
) -> None:
    """A push by tag names the tag, one by digest has an empty tag, and so tells PutImage."""
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


def test_layers_and_manifests_are_counted(control: Control, local_aws: LocalAws, repository: str) -> None:
    """GET /_local/calls tells what docker clients asked for, with the bytes."""
    control("DELETE", "/calls")
    image: PushedImage = push_image(local_aws.registry, repository, "v1", seed="one")
    calls = [call for call in control("GET", "/calls")[1]["calls"] if call["service"] == "registry"]
    assert [call["operation"] for call in calls].count("PUT blob upload session") == 2
    assert (calls[-1]["operation"], calls[-1]["status"]) == ("PUT manifest", 201)
    assert calls[-1]["requestBytes"] == len(image.manifest)


def test_referrers_are_served_to_docker_clients(local_aws: LocalAws, repository: str) -> None:
    """The referrers route of the OCI distribution specification 1.1."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    signature = pusher.push_referrer(local_aws.registry, repository, image, artifact_type="application/x")
    with pusher.send("GET", f"http://{local_aws.registry}/v2/{repository}/referrers/{image.digest}") as response:
        assert [entry["digest"] for entry in json.load(response)["manifests"]] == [signature.digest]


def test_referrers_are_filtered_by_their_type(local_aws: LocalAws, repository: str) -> None:
    """The answer says that it was filtered; a client would have to do it otherwise."""
    image = push_image(local_aws.registry, repository, "v1", seed="one")
    wanted = pusher.push_referrer(local_aws.registry, repository, image, artifact_type="application/x")
    pusher.push_referrer(local_aws.registry, repository, image, artifact_type="application/y")
    address = f"http://{local_aws.registry}/v2/{repository}/referrers/{image.digest}?artifactType=application/x"
    with pusher.send("GET", address) as response:
        assert [entry["digest"] for entry in json.load(response)["manifests"]] == [wanted.digest]
        assert response.headers["OCI-Filters-Applied"] == "artifactType"
