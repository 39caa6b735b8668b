"""PutImage of the local AWS: it never changes the bytes, and answers every documented error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import pusher
from local.aws import LocalAws
from local.oci import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, sha256
from local.pusher import PushedImage, push_image, push_index


@pytest.fixture
def image(local_aws: LocalAws, repository: str) -> PushedImage:
    """Push an image with the tag build-1."""
    return push_image(local_aws.registry, repository, "build-1", seed="one")


@pytest.fixture
def other(local_aws: LocalAws, repository: str) -> PushedImage:
    """Push another image with the tag build-2."""
    return push_image(local_aws.registry, repository, "build-2", seed="two")


def put(ecr: Any, repository: str, image: PushedImage, tag: str | None, **members: Any) -> dict[str, Any]:
    tagged = {"imageTag": tag} if tag else {}
    answer: dict[str, Any] = ecr.put_image(
        repositoryName=repository,
        imageManifest=image.manifest.decode(),
        imageManifestMediaType=image.media_type,
        **tagged,
        **members,
    )["image"]
    return answer


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def tag_digest(ecr: Any, repository: str, tag: str) -> str:
    answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
    digest: str = answer["images"][0]["imageId"]["imageDigest"]
    return digest


def test_a_tag_is_put_on_the_same_bytes(ecr: Any, repository: str, image: PushedImage) -> None:
    """The answer has the stored bytes, and both tags point at one digest."""
    answer = put(ecr, repository, image, "prod", imageDigest=image.digest)
    assert answer["imageManifest"].encode() == image.manifest
    assert answer["imageId"] == {"imageDigest": image.digest, "imageTag": "prod"}
    assert tag_digest(ecr, repository, "prod") == tag_digest(ecr, repository, "build-1") == image.digest


def test_a_tag_moves_to_another_image(ecr: Any, repository: str, image: PushedImage, other: PushedImage) -> None:
    """In a mutable repository the image that had the tag loses it, but is kept."""
    put(ecr, repository, image, "prod")
    put(ecr, repository, other, "prod")
    assert tag_digest(ecr, repository, "prod") == other.digest
    details = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": image.digest}])
    assert details["imageDetails"][0]["imageTags"] == ["build-1"]


@pytest.mark.parametrize("tag", ["build-1", None])
def test_the_same_image_with_the_same_tag_already_exists(
    ecr: Any, repository: str, image: PushedImage, tag: str | None
) -> None:
    """ImageAlreadyExistsException, also for a push without a tag."""
    with pytest.raises(
        ClientError, match=rf"Image with digest '{image.digest}' and tag '{tag or 'null'}'"
    ) as error:
        put(ecr, repository, image, tag)
    assert code(error) == "ImageAlreadyExistsException"


@pytest.mark.parametrize(
    ("mutability", "filters", "moves"),
    [
        ("MUTABLE", [], True),
        ("IMMUTABLE", [], False),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*"], False),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*", "*uild-*"], True),
        ("MUTABLE_WITH_EXCLUSION", ["build-*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["uild-1"], True),
    ],
)
def test_an_immutable_tag_is_not_moved(
    ecr: Any,
    repository: str,
    image: PushedImage,
    other: PushedImage,
    mutability: str,
    filters: list[str],
    moves: bool,
) -> None:
    """The setting and its exclusion filters decide for each tag. Only * is a wildcard in a filter.

    An immutable tag answers ImageTagAlreadyExistsException even for its own digest (aws/containers-roadmap#2179).
    """
    exclusions = [{"filterType": "WILDCARD", "filter": text} for text in filters]
    ecr.put_image_tag_mutability(
        repositoryName=repository,
        imageTagMutability=mutability,
        **({"imageTagMutabilityExclusionFilters": exclusions} if exclusions else {}),
    )
    described = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
    assert described["imageTagMutability"] == mutability
    assert described.get("imageTagMutabilityExclusionFilters", []) == exclusions
    if moves:
        put(ecr, repository, other, "build-1")
        assert tag_digest(ecr, repository, "build-1") == other.digest
        return
    for pushed in (image, other):
        with pytest.raises(ClientError, match="cannot be overwritten because the tag is immutable") as error:
            put(ecr, repository, pushed, "build-1")
        assert code(error) == "ImageTagAlreadyExistsException"
    put(ecr, repository, image, "new")
    assert tag_digest(ecr, repository, "build-1") == image.digest


def test_the_digest_of_a_request_is_checked(ecr: Any, repository: str, image: PushedImage) -> None:
    """An imageDigest that is not the sha256 of the bytes is refused, and nothing is stored."""
    changed = PushedImage(image.digest, image.media_type, image.manifest + b"\n")
    with pytest.raises(ClientError) as error:
        put(ecr, repository, changed, "prod", imageDigest=image.digest)
    assert code(error) == "ImageDigestDoesNotMatchException"
    stored = put(ecr, repository, changed, "prod")
    assert stored["imageId"]["imageDigest"] == sha256(changed.manifest)


def test_a_manifest_without_a_media_type_is_called_invalid_json(
    ecr: Any, repository: str, image: PushedImage
) -> None:
    """ECR answers this misleading text if neither request nor manifest has a media type (aws-sdk#193)."""
    document = json.loads(image.manifest)
    del document["mediaType"]
    with pytest.raises(ClientError, match="failed to satisfy constraint: 'Invalid JSON syntax'") as error:
        ecr.put_image(repositoryName=repository, imageManifest=json.dumps(document), imageTag="a")
    assert code(error) == "InvalidParameterException"
    answer = ecr.put_image(
        repositoryName=repository,
        imageManifest=json.dumps(document),
        imageManifestMediaType=OCI_MANIFEST,
        imageTag="a",
    )
    assert answer["image"]["imageManifestMediaType"] == OCI_MANIFEST


@pytest.mark.parametrize(
    ("members", "mistake"),
    [
        ({"imageTag": "a b"}, "imageTag"),
        ({"imageTag": "a" * 301}, "imageTag"),
        ({"imageManifest": '{"a": "' + "b" * 4194304 + '"}'}, "imageManifest"),
        ({"imageManifest": "no json"}, "ImageManifest"),
        ({"repositoryName": "Web"}, "repositoryName"),
    ],
)
def test_the_error_names_the_parameter_that_breaks_a_constraint(
    ecr: Any, repository: str, members: dict[str, str], mistake: str
) -> None:
    """The limits of tags and manifests are in the service model; boto3 does not check them."""
    fitting = {"imageManifest": "{}", "imageManifestMediaType": OCI_MANIFEST, "imageTag": "a"}
    with pytest.raises(
        ClientError, match=f"Invalid parameter at '{mistake}' failed to satisfy constraint"
    ) as error:
        ecr.put_image(**({"repositoryName": repository} | fitting | members))
    assert code(error) == "InvalidParameterException"


def test_a_manifest_needs_its_layers(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """Config and layers must be in the repository, except for layers with `urls`, which are stored elsewhere."""
    missing = sha256(b"{}")
    config = {"mediaType": OCI_CONFIG, "size": 2, "digest": missing}
    foreign = {"mediaType": OCI_LAYER, "size": 5, "digest": sha256(b"layer"), "urls": ["https://x"]}
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [foreign]})
    with pytest.raises(ClientError, match=missing) as error:
        ecr.put_image(repositoryName=repository, imageManifest=body)
    assert code(error) == "LayersNotFoundException"
    pusher.push_blob(local_aws.registry, repository, b"{}")
    ecr.put_image(repositoryName=repository, imageManifest=body)


def test_an_index_needs_its_images(ecr: Any, local_aws: LocalAws, repository: str) -> None:
    """The images of an index must be in the same repository."""
    source = f"{repository}-source"
    ecr.create_repository(repositoryName=source)
    index = push_index(local_aws.registry, source, "v1", seed="index")
    with pytest.raises(ClientError, match=index.children["linux/arm64"].digest) as error:
        put(ecr, repository, index, "v1")
    assert code(error) == "ReferencedImagesNotFoundException"
    for platform in index.children:
        push_image(local_aws.registry, repository, None, seed="index", platform=platform)
    assert put(ecr, repository, index, "v1")["imageManifestMediaType"] == OCI_INDEX


def test_the_error_names_the_registry_of_a_repository_that_does_not_exist(
    ecr: Any, repository: str, image: PushedImage
) -> None:
    """So it does for a repository that exists in another registry."""
    asked: list[dict[str, str]] = [
        {"repositoryName": "team/none"},
        {"repositoryName": repository, "registryId": "999999999999"},
    ]
    for members in asked:
        with pytest.raises(ClientError) as error:
            ecr.put_image(imageManifest=image.manifest.decode(), imageManifestMediaType=OCI_MANIFEST, **members)
        assert code(error) == "RepositoryNotFoundException"
        registry = members.get("registryId", "123456789012")
        assert f"'{members['repositoryName']}' does not exist in the registry with id '{registry}'" in str(
            error.value
        )


def test_an_image_has_at_most_a_thousand_tags(ecr: Any, repository: str, image: PushedImage) -> None:
    """The next one is LimitExceededException: this is ECR's quota of tags per image."""
    for number in range(999):
        put(ecr, repository, image, f"t{number}")
    with pytest.raises(ClientError) as error:
        put(ecr, repository, image, "one-too-many")
    assert code(error) == "LimitExceededException"
