"""Promotions by requests and by scan events, on the deployed stack."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from local import pusher
from tests.e2e.conftest import Image, Stack, ask, eventually

INDEX = "application/vnd.oci.image.index.v1+json"


def manifest(stack: Stack, repository: str, reference: str) -> bytes:
    """Return a manifest as a docker client reads it."""
    request = urllib.request.Request(
        f"http://{stack.aws.registry}/v2/{repository}/manifests/{reference}", headers={"accept": INDEX}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        body: bytes = response.read()
    return body


@pytest.mark.parametrize("scanner", ["basic", "enhanced"])
def test_a_finished_scan_promotes_the_image(stack: Stack, build: Image, scanner: str) -> None:
    """Through the EventBridge rule and the function. The target tags point at the scanned digest."""
    repository, digest = build.repository, build.digest

    for platform in build.platforms:
        stack.scan(repository, platform, scanner=scanner)

    expected = dict.fromkeys(["build-7", "staging", "staging-7"], digest)
    assert eventually(lambda: stack.tags(repository), lambda tags: len(tags) == 3) == expected


def test_a_request_promotes_the_image_byte_for_byte(stack: Stack, image: Image) -> None:
    """The promoted tag has the same digest and the same bytes, with all platforms."""
    repository, digest = image.repository, image.digest

    status, answer = stack.post(ask(repository))

    assert (status, answer["outcome"]) == (200, "PROMOTED")
    assert stack.tags(repository)["prod"] == digest
    source = manifest(stack, repository, "candidate")
    assert manifest(stack, repository, "prod") == source
    assert answer["images"][0]["imageManifest"].encode() == source
    assert answer["images"][0]["imageManifestMediaType"] == INDEX
    platforms = {entry["platform"]["architecture"] for entry in json.loads(source)["manifests"]}
    assert {"amd64", "arm64"} <= platforms


def test_a_repeated_request_is_unchanged(stack: Stack, image: Image) -> None:
    """The second request finds the tag in place."""
    repository, digest = image.repository, image.digest
    body = ask(repository, source={"imageDigest": digest})

    assert [stack.post(body)[1]["outcome"] for _ in range(2)] == ["PROMOTED", "UNCHANGED"]


def test_a_promotion_takes_one_call_to_ecr_and_one_more_for_each_moved_tag(stack: Stack, image: Image) -> None:
    """As counted by the server."""
    repository = image.repository
    body = {"repositoryName": repository, "source": {"imageTag": "candidate"}}
    counts = []
    for tags in (["prod"], ["prod"], ["v1", "v2", "v3"], ["v1", "v4"]):
        stack.local("calls", method="DELETE")
        assert stack.post(body | {"imageTags": tags})[0] == 200
        counts.append(stack.ecr_calls(repository))

    assert counts == [
        ["BatchGetImage", "PutImage"],
        ["BatchGetImage"],
        ["BatchGetImage", "PutImage", "PutImage", "PutImage"],
        ["BatchGetImage", "PutImage"],
    ]


def test_a_dry_run_moves_nothing(stack: Stack, image: Image) -> None:
    """And makes one call only."""
    repository = image.repository
    stack.local("calls", method="DELETE")

    _, answer = stack.post(ask(repository, dryRun=True))

    assert answer["outcome"] == "PLANNED"
    assert stack.ecr_calls(repository) == ["BatchGetImage"]
    assert set(stack.tags(repository)) == {"candidate"}


def test_nothing_moves_unless_the_expected_digests_hold(stack: Stack, image: Image) -> None:
    """412 for a tag on another digest; the tag does not move."""
    repository, digest = image.repository, image.digest
    other = pusher.push_image(stack.aws.registry, repository, "build-8", seed="other").digest
    body = ask(repository, source={"imageDigest": other})

    assert stack.post(body | {"expectedDigests": {"prod": None}})[0] == 200
    status, problem = stack.post(body | {"source": {"imageDigest": digest}, "expectedDigests": {"prod": digest}})

    assert (status, problem["code"]) == (412, "tag_changed")
    assert stack.tags(repository)["prod"] == other


def test_an_index_can_be_assembled_from_pushed_images(stack: Stack, image: Image) -> None:
    """The request has the manifest, as PutImage's. It is stored unchanged, or refused if an image is missing."""
    repository = image.repository
    children = json.loads(manifest(stack, repository, "candidate"))["manifests"]
    text = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children[:1]}, indent=3) + "\n"
    body = {"repositoryName": repository, "imageManifest": text, "imageTag": "v9"}

    assert stack.post(body)[0] == 200
    assert manifest(stack, repository, "v9") == text.encode()

    status, problem = stack.post(
        body | {"imageManifest": text.replace(children[0]["digest"], "sha256:" + "0" * 64)}
    )
    assert (status, problem["code"]) == (424, "children_missing")


def test_an_immutable_tag_is_not_moved_and_a_repeat_is_unchanged(stack: Stack) -> None:
    """Another digest is a 409. The same digest is not an error."""
    repository = stack.repository(imageTagMutability="IMMUTABLE")
    first = pusher.push_image(stack.aws.registry, repository, "build-1", seed="first").digest
    second = pusher.push_image(stack.aws.registry, repository, "build-2", seed="second").digest

    def put(digest: str) -> tuple[int, Any]:
        return stack.post(ask(repository, source={"imageDigest": digest}))

    assert put(first)[1]["outcome"] == "PROMOTED"
    assert put(first)[1]["outcome"] == "UNCHANGED"
    status, problem = put(second)
    assert (status, problem["code"]) == (409, "tag_immutable")
    assert stack.tags(repository)["prod"] == first


def test_a_promotion_survives_a_lost_answer_of_ecr(stack: Stack, image: Image) -> None:
    """PutImage moves the tag, but its answer is lost. The SDK retries, and the caller gets PROMOTED."""
    repository, digest = image.repository, image.digest
    stack.local(
        "faults",
        {
            "service": "ecr",
            "operation": "PutImage",
            "code": "ServerException",
            "status": 500,
            "times": 1,
            "after": True,
        },
    )

    _, answer = stack.post(ask(repository))

    assert answer["outcome"] == "PROMOTED"
    assert stack.tags(repository)["prod"] == digest


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"operation": "PutImage", "code": "ThrottlingException", "status": 400}, 429, "throttled"),
        ({"operation": "BatchGetImage", "code": "ServerException", "status": 500}, 502, "registry_error"),
    ],
)
def test_a_failure_of_the_registry_is_answered_with_its_code(
    stack: Stack, image: Image, fault: dict[str, Any], status: int, code: str
) -> None:
    """After the SDK's own retries. No tag moves."""
    repository = image.repository
    stack.local("faults", {"service": "ecr", "times": 50} | fault)
    try:
        got, problem = stack.post(ask(repository))
    finally:
        stack.local("faults", method="DELETE")

    assert (got, problem["code"]) == (status, code)
    assert set(stack.tags(repository)) == {"candidate"}


GARBAGE: list[tuple[Any, int]] = [
    ("", 400),
    ("no JSON", 400),
    ("[]", 400),
    ("\ud800", 400),
    ({"repositoryName": 7}, 400),
    ({"repositoryName": "team/web", "source": {"imageTag": "x" * 400}}, 400),
    ({"repositoryName": "team/web", "source": {"imageDigest": "sha256:1"}}, 400),
    ({"repositoryName": "../../etc", "source": {"imageTag": "a"}}, 400),
    ({"repositoryName": "team/web", "unknown": 1}, 400),
    ({"repositoryName": "team/web", "imageManifest": " " * 5_000_000}, 400),
    ({"repositoryName": "team/web", "imageManifest": "{}", "imageTag": "prod"}, 400),
    ({"repositoryName": "somebody/elses", "source": {"imageTag": "a"}}, 403),
]


@pytest.mark.parametrize(("body", "status"), GARBAGE)
def test_an_invalid_body_changes_nothing_and_is_never_a_server_error(stack: Stack, body: Any, status: int) -> None:
    """A problem document with a stable code. The registry is not called."""
    stack.local("calls", method="DELETE")

    got, problem = stack.post(body)

    assert got == problem["status"] == status
    assert problem["code"] == ("not_allowed" if status == 403 else "invalid_request")
    assert status == 403 or problem["field"]
    assert stack.ecr_calls("team/web", "somebody/elses") == []


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_pushes_an_image_and_pulls_the_promoted_tag(stack: Stack, tmp_path: Path) -> None:
    """The pulled image has the same digest and all its platforms."""
    source, target = stack.repository(), tmp_path / "pulled"
    digest = pusher.push_index(stack.aws.registry, source, "build-1", seed="skopeo").digest
    registry = f"docker://{stack.aws.registry}"
    copy = ["skopeo", "copy", "--quiet", "--all", "--preserve-digests"]
    repository = stack.repository()
    there = ["--dest-tls-verify=false", "--dest-creds=AWS:x"]
    here = ["--src-tls-verify=false", "--src-creds=AWS:x"]
    images = [f"{registry}/{source}:build-1", f"{registry}/{repository}:build-2"]
    subprocess.run([*copy, *here, *there, *images], check=True, capture_output=True)

    assert stack.post(ask(repository, source={"imageTag": "build-2"}))[0] == 200
    subprocess.run(
        [*copy, *here, f"{registry}/{repository}:prod", f"oci:{target}"], check=True, capture_output=True
    )

    assert (target / "blobs" / "sha256" / digest.removeprefix("sha256:")).is_file()
    index = json.loads((target / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes())
    for entry in index["manifests"]:
        assert (target / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")).is_file()


def test_the_aws_cli_reads_and_tags_promoted_images(stack: Stack, image: Image, tmp_path: Path) -> None:
    """`aws ecr put-image` and `batch-get-image` work on the same images."""
    repository, digest = image.repository, image.digest
    stack.post(ask(repository))
    body = tmp_path / "manifest.json"
    body.write_bytes(manifest(stack, repository, "prod"))

    def aws(*words: str) -> Any:
        done = subprocess.run(
            ["aws", "ecr", *words, "--repository-name", repository],
            env=stack.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    put = aws("put-image", "--image-tag", "by-hand", "--image-manifest", f"file://{body}")
    got = aws("batch-get-image", "--image-ids", "imageTag=prod", "imageTag=by-hand")

    assert put["image"]["imageId"] == {"imageDigest": digest, "imageTag": "by-hand"}
    assert {image["imageId"]["imageDigest"] for image in got["images"]} == {digest}
    assert re.fullmatch(r"[0-9]{12}", put["image"]["registryId"])


@pytest.mark.parametrize("odd", ["%00", "a%0Ab", "%F0%9F%92%A5", "a%20b", "%ED%A0%80"])
@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("POST", "/rollback")])
def test_a_malformed_promotion_id_is_not_found(stack: Stack, method: str, tail: str, odd: str) -> None:
    """404, although API Gateway decodes the path: a caller cannot trigger an alarm with it."""
    status, problem = stack.call(method, f"/promotions/{odd}{tail}")

    assert (status, problem["code"]) == (404, "promotion_not_found")


def test_promotions_and_heads_are_listed_by_their_members(stack: Stack, image: Image) -> None:
    """By image, caller, time and tag, with the rights of the deployed function."""
    before = quote(datetime.now(UTC).isoformat())
    _, promoted = stack.post(ask(image.repository))
    after = quote((datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    name = f"repositoryName={image.repository}"

    def found(query: str) -> list[str]:
        _, answer = stack.call("GET", f"/promotions?{name}&{query}")
        return [each["promotionId"] for each in answer["promotions"]]

    this = [promoted["promotionId"]]
    assert found(f"imageDigest={image.digest}&caller=arn:*&since={before}&until={after}") == this
    assert found(f"imageTag=prod&since={before}") == this
    assert found(f"until={before}") == found(f"since={after}") == found("caller=github:*") == []
    heads = stack.call("GET", f"/heads?{name}&imageTag=prod")[1]["heads"]
    assert [(head["imageTag"], head["registryDigest"]) for head in heads] == [("prod", image.digest)]
    assert stack.call("GET", f"/heads?{name}&imageTag=v9")[1] == {"heads": []}
