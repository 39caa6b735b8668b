"""The ECR adapter with the real boto3 over HTTP, against the local AWS's ECR."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.aws import LocalAws
from local.pusher import PushedImage, push_index
from promoter.aws.ecr.registry import EcrRegistry
from promoter.domain.errors import Failure, RegistryError, RepositoryNotFound, TagImmutable, Throttled
from promoter.domain.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of
from promoter.domain.model import ImageId, Manifest, Repository
from promoter.domain.ports import Missing

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}


@pytest.fixture
def registry(local_aws: LocalAws) -> EcrRegistry:
    return EcrRegistry(local_aws.client("ecr"))


@pytest.fixture
def place(local_aws: LocalAws, repository: str) -> Repository:
    return Repository(local_aws.account_id, repository)


@pytest.fixture
def store(control: Any, repository: str) -> Callable[[bytes, str], Manifest]:
    """Let a manifest lie in the registry, tagged `source`, whatever it refers to."""

    def put(body: bytes, media_type: str) -> Manifest:
        document = {
            "repositoryName": repository,
            "manifestBase64": base64.b64encode(body).decode(),
            "imageManifestMediaType": media_type,
            "imageTag": "source",
        }
        assert control("POST", "/images", document)[0] == 200
        return Manifest(body, media_type, digest_of(body, media_type))

    return put


def kinds() -> list[Any]:
    """Every kind of manifest that ECR stores, with and without a mediaType of its own."""
    image = {"schemaVersion": 2, "config": CONFIG, "layers": []}
    index = {"schemaVersion": 2, "manifests": []}
    helm = image | {"config": CONFIG | {"mediaType": "application/vnd.cncf.helm.config.v1+json"}}
    signature = image | {"artifactType": "application/vnd.cncf.notary.signature", "subject": CONFIG}
    return [
        pytest.param(image | {"mediaType": OCI_MANIFEST}, OCI_MANIFEST, id="oci"),
        pytest.param(image, OCI_MANIFEST, id="oci without mediaType"),
        pytest.param(index | {"mediaType": OCI_INDEX}, OCI_INDEX, id="index"),
        pytest.param(index, OCI_INDEX, id="index without mediaType"),
        pytest.param(image | {"mediaType": DOCKER_MANIFEST}, DOCKER_MANIFEST, id="schema 2"),
        pytest.param(index | {"mediaType": DOCKER_LIST}, DOCKER_LIST, id="manifest list"),
        pytest.param(helm, OCI_MANIFEST, id="helm"),
        pytest.param(signature | {"mediaType": OCI_MANIFEST}, OCI_MANIFEST, id="signature"),
    ]


@pytest.mark.parametrize(("document", "media_type"), kinds())
@pytest.mark.parametrize("shape", [{"indent": None}, {"indent": "\t"}])
@pytest.mark.parametrize("tail", ["", "\n", "\r\n"])
def test_every_kind_of_manifest_keeps_its_bytes(
    registry: EcrRegistry,
    place: Repository,
    store: Callable[[bytes, str], Manifest],
    document: dict[str, Any],
    media_type: str,
    shape: dict[str, Any],
    tail: str,
) -> None:
    """Indentation, trailing newline, escapes: what is read, put and read again is the same."""
    body = (json.dumps(document | {"annotations": {"é": '\u2028 \\ "'}}, **shape) + tail).encode()
    stored = store(body, media_type)
    read = registry.read(place, [ImageId("source")])[ImageId("source")]

    assert read == stored
    assert registry.put(place, stored, "target") is True
    assert registry.read(place, [ImageId("target")])[ImageId("target")] == stored


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8"), max_size=200), space=st.text(" \t\r\n", max_size=5))
def test_any_text_keeps_its_bytes(
    registry: EcrRegistry, place: Repository, store: Callable[[bytes, str], Manifest], text: str, space: str
) -> None:
    """Whatever annotations hold and wherever white space stands."""
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": []}
    body = (space + json.dumps(document | {"annotations": {"text": text}}, ensure_ascii=False) + space).encode()
    stored = store(body, OCI_MANIFEST)

    registry.put(place, stored, "target")

    read = registry.read(place, [ImageId("target")])[ImageId("target")]
    assert isinstance(read, Manifest)
    assert read.body == body


def test_a_manifest_of_four_mebibytes_is_promoted(
    registry: EcrRegistry, place: Repository, store: Callable[[bytes, str], Manifest]
) -> None:
    """The largest that PutImage takes."""
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    stored = store(body + b" " * (4 * 1024 * 1024 - len(body)), OCI_INDEX)

    registry.put(place, stored, "target")

    assert registry.read(place, [ImageId("target")])[ImageId("target")] == stored


def test_many_ids_are_answered_by_one_call(
    registry: EcrRegistry, place: Repository, push: Callable[..., PushedImage], control: Any
) -> None:
    """By tag, by digest, pinned, missing, and elsewhere: each gets its own answer."""
    one, two = push("one", seed="one").digest, push("two", seed="two").digest
    control("DELETE", "/calls")

    answers = registry.read(
        place, [ImageId("one"), ImageId(None, two), ImageId("one", one), ImageId("one", two), ImageId("gone")]
    )

    found = [answer.digest if isinstance(answer, Manifest) else answer for answer in answers.values()]
    expected = [one, two, one, Missing.TAG_IS_ELSEWHERE, Missing.NOT_FOUND]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert answers[ImageId("one", two)] is Missing.TAG_IS_ELSEWHERE
    assert len(control("GET", "/calls")[1]["calls"]) == 1


def test_a_repeat_is_no_error(registry: EcrRegistry, place: Repository, push: Callable[..., PushedImage]) -> None:
    """ImageAlreadyExists, and an immutable tag on the same digest, mean that the tag is there."""
    push("one", seed="one")
    image = registry.read(place, [ImageId("one")])[ImageId("one")]
    assert isinstance(image, Manifest)

    assert [registry.put(place, image, "prod") for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("mutability", "filters", "movable"),
    [
        ("IMMUTABLE", [], False),
        ("IMMUTABLE_WITH_EXCLUSION", ["pr*"], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["pr*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["dev*"], True),
    ],
)
def test_mutability_is_the_registrys_word(
    ecr: Any,
    registry: EcrRegistry,
    place: Repository,
    push: Callable[..., PushedImage],
    mutability: str,
    filters: list[str],
    *,
    movable: bool,
) -> None:
    """An immutable tag on another digest stays; on its own digest a repeat is no error."""
    images = []
    for tag in ("one", "two"):
        push(tag, seed=tag)
        image = registry.read(place, [ImageId(tag)])[ImageId(tag)]
        assert isinstance(image, Manifest)
        images.append(image)
    exclusion = [{"filterType": "WILDCARD", "filter": text} for text in filters]
    ecr.put_image_tag_mutability(
        repositoryName=place.name,
        imageTagMutability=mutability,
        **({"imageTagMutabilityExclusionFilters": exclusion} if exclusion else {}),
    )
    assert registry.put(place, images[0], "prod") is True
    assert registry.put(place, images[0], "prod") is False

    if movable:
        assert registry.put(place, images[1], "prod") is True
    else:
        with pytest.raises(TagImmutable, match="immutable"):
            registry.put(place, images[1], "prod")


def test_an_answer_that_is_lost_is_asked_for_again(
    local_aws: LocalAws, place: Repository, push: Callable[..., PushedImage], faults: Callable[..., None]
) -> None:
    """The put was done, its answer was not heard: the SDK's second try finds the tag, and it was this call's."""
    push("one", seed="one")
    registry = EcrRegistry(local_aws.client("ecr", config=None))
    image = registry.read(place, [ImageId("one")])[ImageId("one")]
    assert isinstance(image, Manifest)
    faults("ecr", "PutImage", code="ServerException", status=500, times=1, after=True)

    assert registry.put(place, image, "prod") is True


SILENCE = {"delay": 1.0}
THROTTLED = {"code": "ThrottlingException", "status": 400}
FAULT = {"code": "ServerException", "status": 500}


@pytest.mark.parametrize(
    ("tries", "unanswered"),
    [
        ([SILENCE, THROTTLED], True),  # the first may still be carried out
        ([FAULT, FAULT], True),
        ([FAULT, THROTTLED], True),
        ([THROTTLED, THROTTLED], False),
        ([{"code": "LayersNotFoundException", "status": 400}], False),
    ],
)
def test_what_a_failed_put_may_still_do(
    local_aws: LocalAws,
    place: Repository,
    push: Callable[..., PushedImage],
    faults: Callable[..., None],
    tries: list[dict[str, Any]],
    *,
    unanswered: bool,
) -> None:
    """Each try counts, not only the last one."""
    push("one", seed="one")
    impatient = Config(read_timeout=0.3, retries={"mode": "standard", "total_max_attempts": 2})
    registry = EcrRegistry(local_aws.client("ecr", config=impatient))
    image = registry.read(place, [ImageId("one")])[ImageId("one")]
    assert isinstance(image, Manifest)
    for fault in tries:
        faults("ecr", "PutImage", times=1, **fault)

    with pytest.raises(Failure) as failed:
        registry.put(place, image, "prod")

    assert failed.value.unanswered is unanswered


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ThrottlingException", 400, Throttled),
        ("ServerException", 500, RegistryError),
        ("Weird", 418, RegistryError),
    ],
)
def test_faults_come_out_as_failures(
    registry: EcrRegistry, place: Repository, faults: Callable[..., None], code: str, status: int, expected: Any
) -> None:
    """Whatever ECR answers, the core sees its own errors."""
    faults("ecr", "BatchGetImage", code=code, status=status, times=9)

    with pytest.raises(expected, match=code):
        registry.read(place, [ImageId("one")])


def test_a_repository_that_is_not_there_is_named(registry: EcrRegistry, local_aws: LocalAws) -> None:
    """The message has the name."""
    with pytest.raises(RepositoryNotFound, match="team/nowhere"):
        registry.read(Repository(local_aws.account_id, "team/nowhere"), [ImageId("one")])


def test_an_index_keeps_its_children(registry: EcrRegistry, place: Repository, local_aws: LocalAws) -> None:
    """A pushed index is promoted whole, without touching the images it names."""
    pushed = push_index(local_aws.registry, place.name, "one", seed="one")
    image = registry.read(place, [ImageId("one")])[ImageId("one")]
    assert isinstance(image, Manifest)

    registry.put(place, image, "prod")

    promoted = registry.read(place, [ImageId("prod")])[ImageId("prod")]
    assert isinstance(promoted, Manifest)
    assert promoted.body == pushed.manifest
    digests = [entry["digest"] for entry in json.loads(promoted.body)["manifests"]]
    children = registry.read(place, [ImageId(None, digest) for digest in digests])
    assert all(isinstance(child, Manifest) for child in children.values())
