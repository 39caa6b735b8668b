"""The HTTP API as a pipeline sees it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.errors import RegistryError, Throttled
from promoter.domain.manifest import DOCKER_SIGNED_V1
from promoter.domain.model import ImageId, Outcome, Record, TagMove, Trigger
from promoter.domain.policy import Freeze
from tests.handler.conftest import CALLER, http_event
from tests.support.ledgers import InMemoryLedger
from tests.support.policies import ACCOUNT
from tests.support.registries import REPOSITORY, FailingRegistry, InMemoryRegistry, manifest

Call = Callable[..., tuple[int, dict[str, Any]]]
Post = Callable[..., tuple[int, dict[str, Any]]]
Logs = Callable[[], list[dict[str, Any]]]

OLD, NEW = manifest('{"old": 1}'), manifest('{"secret-in-manifest": 1}\n')
ASK = {"repositoryName": "team/web", "source": {"imageTag": "staging"}}
BROUGHT = (
    '{"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}, "layers": []}\n'
)
SCHEMA_1 = '{"schemaVersion": 1, "fsLayers": []}'
SIGNED = "sha256-" + "a" * 64
SIGNATURE = json.dumps(json.loads(BROUGHT) | {"subject": {"digest": NEW.digest}})

OPERATOR = f"arn:aws:sts::{ACCOUNT}:assumed-role/operator/ann"
STRANGER = f"arn:aws:sts::{ACCOUNT}:assumed-role/other/eve"


@pytest.mark.parametrize(("method", "path"), [("PUT", "/freeze"), ("DELETE", "/freeze"), ("POST", "/reconcile")])
@pytest.mark.parametrize("caller", [CALLER, STRANGER, None])
def test_only_operators_stop_and_start(call: Call, method: str, path: str, caller: str | None) -> None:
    """A rule's caller may promote by it, and no more."""
    status, problem = call(method, path, {"reason": "r"}, caller=caller)

    assert (status, problem["code"]) == (403, "not_allowed")
    assert "is not an operator" in problem["detail"]


@pytest.mark.parametrize("path", ["/promotions", "/promotions/p-1", "/heads", "/freeze"])
def test_strangers_are_told_nothing(call: Call, path: str) -> None:
    """Nor may they take anything back."""
    assert call("GET", path, caller=STRANGER)[1]["code"] == "not_allowed"
    assert call("POST", "/promotions/p-1/rollback", {}, caller=STRANGER)[1]["code"] == "not_allowed"


@pytest.mark.parametrize("caller", [OPERATOR, CALLER])
def test_operators_and_callers_may_ask(call: Call, caller: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They know of the policy anyway."""
    monkeypatch.setattr(wiring, "freezes", NoFreezes)

    assert call("GET", "/freeze", caller=caller) == (200, {"freezes": []})


class NoFreezes:
    """Nobody has pressed the stop button."""

    def all(self) -> tuple[Freeze, ...]:
        return ()


@pytest.mark.parametrize(("caller", "status"), [(OPERATOR, 200), (CALLER, 403)])
def test_what_a_scan_did_operators_take_back(
    call: Call,
    registry: InMemoryRegistry,
    ledger: InMemoryLedger,
    caller: str,
    status: int,
) -> None:
    """Its rule names no callers who could."""
    registry.tags["staging"] = NEW
    registry.untagged.append(OLD)
    done = Record(
        promotion_id="p-1",
        trigger=Trigger.SCAN,
        repository=REPOSITORY,
        source=ImageId("build-7"),
        asked_at=datetime(2026, 11, 23, tzinfo=UTC),
        rule="staging",
        image_digest=NEW.digest,
        image_tags=("staging",),
        moves=(TagMove("staging", Outcome.PROMOTED, OLD.digest),),
        outcome=Outcome.PROMOTED,
    )
    ledger.having(done)

    assert call("POST", "/promotions/p-1/rollback", {}, caller=caller)[0] == status
    assert registry.tags["staging"] == (OLD if status == 200 else NEW)


def test_a_promotion_answers_with_put_images_own_structure(post: Post, registry: InMemoryRegistry) -> None:
    """Every output member of PutImage is there, and the manifest is the registry's text, newline included."""
    registry.tags |= {"staging": NEW, "prod": OLD}

    status, document = post(ASK)

    assert status == 200
    assert document["outcome"] == "PROMOTED"
    assert document["rule"] == "prod"
    assert document["images"] == [
        {
            "registryId": ACCOUNT,
            "repositoryName": "team/web",
            "imageId": {"imageDigest": NEW.digest, "imageTag": "prod"},
            "imageManifest": '{"secret-in-manifest": 1}\n',
            "imageManifestMediaType": NEW.media_type,
            "outcome": "PROMOTED",
            "previousDigest": OLD.digest,
        }
    ]
    assert document["promotionId"]
    assert document["headers"]["Cache-Control"] == "no-store"


def test_put_images_own_input_is_a_request(post: Post, registry: InMemoryRegistry) -> None:
    """A caller of `aws ecr put-image` sends the same members and gets the manifest put as it is."""
    status, document = post(
        {
            "registryId": ACCOUNT,
            "repositoryName": "team/web",
            "imageManifest": BROUGHT,
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            "imageTag": "v7",
            "imageDigest": manifest(BROUGHT).digest,
        }
    )

    assert status == 200
    assert registry.tags["v7"].body == BROUGHT.encode()
    assert document["images"][0]["imageId"] == {"imageDigest": manifest(BROUGHT).digest, "imageTag": "v7"}


ROLE, PERSON = (
    f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/"
    for name in ("deployer", "AWSReservedSSO_Release_0123456789abcdef")
)


def signed(arn: str) -> dict[str, Any]:
    return {"iam": {"userArn": arn}}


def token(subject: str, issuer: str) -> dict[str, Any]:
    return {"jwt": {"claims": {"sub": subject, "iss": issuer}}}


GITHUB = "https://token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (signed(f"{ROLE}run-7"), signed(f"{ROLE}run-8"), True),
        (signed(f"{PERSON}ann"), signed(f"{PERSON}ann"), True),
        (signed(f"{PERSON}ann"), signed(f"{PERSON}bob"), False),
        (signed(f"{ROLE}run-7"), signed(f"arn:aws:sts::{ACCOUNT}:assumed-role/other/run-7"), False),
        (token("deploy", "https://one.example"), token("deploy", "https://one.example"), True),
        (token("deploy", "https://one.example"), token("deploy", "https://two.example"), False),
        (
            token("repo:owner/web:ref:refs/heads/main", GITHUB),
            token("repo:owner/web:ref:refs/heads/x", GITHUB),
            False,
        ),
        (signed(f"{ROLE}run-7"), None, False),
    ],
)
def test_an_idempotency_key_belongs_to_the_principal(
    invoke: Callable[[dict[str, Any]], dict[str, Any]],
    registry: InMemoryRegistry,
    one: dict[str, Any],
    other: dict[str, Any] | None,
    *,
    same: bool,
) -> None:
    """A re-run of a pipeline is a new session of the same role; another principal's key is another promotion."""
    registry.tags["staging"] = NEW
    ids = []
    for authorizer in (one, other):
        event = http_event(json.dumps(ASK)) | {"headers": {"idempotency-key": "deploy-7"}}
        event["requestContext"]["authorizer"] = authorizer
        ids.append(json.loads(invoke(event)["body"])["promotionId"])

    assert (ids[0] == ids[1]) is same


def test_a_re_run_under_the_same_key_gets_the_first_answer(
    post: Post, registry: InMemoryRegistry, ledger: InMemoryLedger
) -> None:
    """Also after the tag has moved on. The record has the session that asked first, in full."""
    registry.tags["staging"] = NEW
    key = {"headers": {"idempotency-key": "deploy-7"}}

    first = post(ASK, caller=f"{ROLE}run-7", **key)[1]
    registry.tags["prod"] = OLD
    again = post(ASK, caller=f"{ROLE}run-8", **key)[1]

    assert (again["promotionId"], again["outcome"]) == (first["promotionId"], "PROMOTED")
    assert registry.tags["prod"] == OLD
    assert ledger.records[first["promotionId"]].caller == f"{ROLE}run-7"


@pytest.mark.parametrize(("path", "body"), [("/promotions/p-1/rollback", {"imageTags": [SIGNED]})])
def test_a_rollback_names_no_tag_of_signatures(call: Call, path: str, body: Any) -> None:
    """As little as a promotion does."""
    status, problem = call("POST", path, body, caller=OPERATOR)

    assert (status, problem["code"], problem["field"]) == (400, "invalid_request", "imageTags[0]")


def test_a_body_that_api_gateway_took_for_binary_is_read(post: Post, registry: InMemoryRegistry) -> None:
    """Without a content type of JSON the body arrives in base64."""
    registry.tags["staging"] = NEW

    status, _ = post(base64.b64encode(json.dumps(ASK).encode()).decode(), isBase64Encoded=True)

    assert status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "body"),
        ("no JSON", "body"),
        ("[1]", "body"),
        ("\ud800", "body"),
        ({}, "repositoryName"),
        (ASK | {"repositoryName": 5}, "repositoryName"),
        (ASK | {"repositoryName": "Team/Web"}, "repositoryName"),
        (ASK | {"repositoryName": "a"}, "repositoryName"),
        (ASK | {"repositoryName": "a" * 257}, "repositoryName"),
        (ASK | {"registryId": "42"}, "registryId"),
        (ASK | {"colour": "blue"}, "colour"),
        (ASK | {"source": {"imageTag": "a", "tag": "b"}}, "source.tag"),
        (ASK | {"source": {}}, "source"),
        (ASK | {"source": None}, "source"),
        (ASK | {"source": {"imageDigest": "sha256:abc"}}, "source.imageDigest"),
        (ASK | {"source": {"imageTag": "no tag"}}, "source.imageTag"),
        (ASK | {"imageTags": []}, "imageTags"),
        (ASK | {"imageTags": ["ok", "-no"]}, "imageTags[1]"),
        (ASK | {"imageTags": ["x" * 129]}, "imageTags[0]"),
        (ASK | {"imageTags": [f"v{n}" for n in range(51)]}, "imageTags"),
        (ASK | {"imageTag": "v1\n"}, "imageTag"),
        (ASK | {"imageTag": "v1", "imageTags": ["v1"]}, "imageTag"),
        (ASK | {"dryRun": "yes"}, "dryRun"),
        (ASK | {"expectedDigests": {"prod": "latest"}}, "expectedDigests[...]"),
        (ASK | {"expectedDigests": {"no tag": None}}, "expectedDigests"),
        (ASK | {"expectedDigests": {"v9": None}}, "expectedDigests"),
        (ASK | {"target": {"repositoryName": "release/web"}}, "target.repositoryName"),
        (ASK | {"target": {"registryId": "999999999999"}}, "target.registryId"),
        (ASK | {"target": {"region": "us-east-1"}}, "target.region"),
        (ASK | {"imageManifest": BROUGHT}, "source"),
        (ASK | {"imageDigest": NEW.digest}, "imageDigest"),
        (ASK | {"imageManifestMediaType": NEW.media_type}, "imageManifestMediaType"),
        ({"repositoryName": "team/web", "imageManifest": "no JSON"}, "imageManifest"),
        ({"repositoryName": "team/web", "imageManifest": "[" * 9999}, "imageManifest"),
        ({"repositoryName": "team/web", "imageManifest": "[]"}, "imageManifest"),
        ({"repositoryName": "team/web", "imageManifest": '{"schemaVersion": 99999}'}, "imageManifest"),
        ({"repositoryName": "team/web", "imageManifest": ""}, "imageManifest"),
        ({"repositoryName": "team/web", "imageManifest": " " * 5_000_000}, "imageManifest"),
        ({"repositoryName": "team/web", "imageManifest": BROUGHT, "imageDigest": NEW.digest}, "imageDigest"),
        (
            {"repositoryName": "team/web", "imageManifest": BROUGHT, "imageManifestMediaType": "text/html"},
            "imageManifestMediaType",
        ),
        ({"repositoryName": "team/web", "imageManifest": SCHEMA_1, "imageTag": "v1"}, "imageManifest"),
        (
            {"repositoryName": "team/web", "imageManifest": BROUGHT, "imageManifestMediaType": DOCKER_SIGNED_V1},
            "imageManifestMediaType",
        ),
        ({"repositoryName": "team/web", "imageManifest": SIGNATURE, "imageTag": "v1"}, "imageManifest"),
        ({"repositoryName": "team/web", "imageManifest": BROUGHT, "imageTag": SIGNED}, "imageTag"),
        (ASK | {"imageTag": SIGNED}, "imageTag"),
        (ASK | {"imageTags": ["v1", f"{SIGNED}.sig"]}, "imageTags[1]"),
        (ASK | {"expectedDigests": {SIGNED: None}}, "expectedDigests"),
        (ASK | {"k" * 500_000: 1}, "k" * 300),
    ],
)
def test_garbage_is_a_400_that_names_the_field(
    post: Post, registry: InMemoryRegistry, body: Any, field: str
) -> None:
    """A problem document says which member is wrong, and nothing is written."""
    registry.tags["staging"] = NEW

    status, document = post(body)

    assert status == document["status"] == 400
    assert document["code"] == "invalid_request"
    assert document["field"] == field
    assert document["headers"]["Content-Type"] == "application/problem+json"
    assert len(document["detail"]) < 1000
    assert registry.puts == []


@pytest.mark.parametrize(
    ("change", "caller"),
    [
        ({"repositoryName": "others/web"}, None),
        ({"registryId": "999999999999"}, None),
        ({"imageTags": ["prod", "latest"]}, None),
        ({}, f"arn:aws:sts::{ACCOUNT}:assumed-role/intern/x"),
    ],
)
def test_what_no_rule_admits_is_forbidden(
    post: Post, registry: InMemoryRegistry, change: dict[str, Any], caller: str | None
) -> None:
    """Another repository, another registry, another tag, another caller: 403, and the registry is not asked."""
    registry.tags["staging"] = NEW

    status, document = post(ASK | change, **({"caller": caller} if caller else {}))

    assert (status, document["code"]) == (403, "not_allowed")
    assert registry.reads == []


def test_a_caller_without_an_identity_matches_no_callers(post: Post, registry: InMemoryRegistry) -> None:
    """A rule with callers never lets in someone whom API Gateway did not name."""
    registry.tags["staging"] = NEW

    status, _ = post(ASK, caller=None)

    assert status == 403


@pytest.mark.parametrize(
    ("failure", "status", "retry_after"), [(Throttled("slow down"), 429, "2"), (RegistryError("down"), 502, None)]
)
def test_a_failure_half_way_tells_what_was_done(
    post: Post, monkeypatch: pytest.MonkeyPatch, failure: Any, status: int, retry_after: str | None
) -> None:
    """The problem document lists the tags that were put before the failure, with their digest."""
    registry = FailingRegistry({"staging": NEW, "v1": OLD}, failing_tag="v2", failure=failure)
    monkeypatch.setattr(wiring, "registry", lambda: registry)
    impatient = replace(wiring.dependencies(), patience=timedelta())
    monkeypatch.setattr(wiring, "dependencies", lambda: impatient)

    got, document = post(ASK | {"imageTags": ["v1", "v2"]})

    assert got == status
    assert document["code"] == failure.code
    assert document["headers"].get("Retry-After") == retry_after
    assert [(i["imageId"], i["outcome"], i["previousDigest"]) for i in document["images"]] == [
        ({"imageDigest": NEW.digest, "imageTag": "v1"}, "PROMOTED", OLD.digest)
    ]


def test_manifests_that_would_not_fit_into_an_answer_are_left_out(post: Post, registry: InMemoryRegistry) -> None:
    """Lambda answers with 6 MB at most: then the first images have their manifest, all have the rest."""
    registry.tags["staging"] = manifest(json.dumps({"pad": "x" * 2_000_000}))

    status, document = post(ASK | {"imageTags": ["v1", "v2", "v3"]})

    assert status == 200
    assert ["imageManifest" in image for image in document["images"]] == [True, True, False]
    assert all(image["imageManifestMediaType"] for image in document["images"])


def test_a_mistake_of_ours_is_a_500_without_its_details(
    post: Post, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """The caller gets a problem document, the log the cause."""
    monkeypatch.setattr(wiring, "registry", lambda: None)

    status, document = post(ASK)

    assert (status, document["code"]) == (500, "internal_error")
    assert "NoneType" not in json.dumps(document)
    assert any("NoneType" in record.get("exception", "") for record in logs())


def test_a_promotion_is_logged_and_counted_without_its_manifest(
    post: Post, registry: InMemoryRegistry, logs: Logs
) -> None:
    """One structured record with the request's correlation id, one metric by outcome and trigger."""
    registry.tags["staging"] = NEW

    _, document = post(ASK)

    written = logs()
    record = next(r for r in written if r.get("message") == "promotion")
    assert record["promotion_id"] == document["promotionId"]
    assert record["correlation_id"] == "api-request-1"
    assert (record["outcome"], record["rule"], record["digest"]) == ("PROMOTED", "prod", NEW.digest)
    metric = next(r for r in written if "_aws" in r)
    assert (metric["trigger"], metric["outcome"], metric["Promotions"]) == ("request", "PROMOTED", [1.0])
    assert "secret-in-manifest" not in json.dumps(written)
