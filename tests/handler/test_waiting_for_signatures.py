"""Signatures and other referrers wake what waits for them: promotions by event, and requests."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.errors import PromoterError, RepositoryNotFound
from promoter.domain.findings import Scan
from promoter.domain.model import Manifest
from tests.handler.conftest import CALLER
from tests.handler.test_events import IMAGE, basic, enhanced, pushed
from tests.handler.test_waiting_events import FINISHED, STAGING, Invoke, Logs, only, outcomes
from tests.support.ledgers import InMemoryLedger, InMemoryWakeUps
from tests.support.policies import gate, policy, rule
from tests.support.registries import InMemoryRegistry, KnownImageFacts, manifest


@pytest.fixture
def unscanned(registry: InMemoryRegistry, image_facts: KnownImageFacts) -> Manifest:
    """An image that was pushed as build-7 a moment ago, and has no scan yet."""
    registry.tags["build-7"] = IMAGE
    image_facts.pushes[IMAGE.digest] = datetime.now(UTC)
    return IMAGE


@pytest.fixture
def signing(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the policy of the function have one rule, which asks for a signature."""
    monkeypatch.setattr(wiring, "policy", lambda: policy(rule(**STAGING, gate=gate(signed=True))))


def referrer(of: Manifest) -> Manifest:
    """Return a signature as ECR and cosign store it: a manifest that names its subject."""
    return manifest(json.dumps({"subject": {"digest": of.digest}}))


def referred(image: Manifest) -> dict[str, Any]:
    """Return an `ECR Referrer Action` event: it names only the referrer."""
    event = basic() | {"detail-type": "ECR Referrer Action", "resources": []}
    event["detail"] = {
        "repository-name": "team/web",
        "image-digest": image.digest,
        "action-type": "PUSH",
        "result": "SUCCESS",
        "artifact-type": "application/vnd.dev.cosign.artifact.sig.v1+json",
    }
    return event


@pytest.mark.usefixtures("signing")
@pytest.mark.parametrize("how", ["referrer", "tag"])
def test_a_signature_wakes_what_waits_for_it(
    invoke: Invoke,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    wake_ups: InMemoryWakeUps,
    unscanned: Manifest,
    how: str,
) -> None:
    """Stored as a referrer of the image, or under the tag that cosign derives from its digest."""
    assert outcomes(invoke(pushed())) == ["WAITING"]
    signature = referrer(unscanned)
    registry.untagged.append(signature)
    image_facts.signatures.add(unscanned.digest)

    if how == "referrer":
        event = referred(signature)
    else:
        tag = f"sha256-{unscanned.digest.removeprefix('sha256:')}.sig"
        event = pushed(**{"image-tag": tag, "image-digest": signature.digest})

    assert outcomes(invoke(event | {"id": "signed-1"})) == ["PROMOTED"]
    assert registry.tags["staging"] == unscanned
    assert wake_ups.found == {}


@pytest.mark.usefixtures("signing")
def test_a_referrer_that_is_no_signature_leaves_it_waiting(
    invoke: Invoke, registry: InMemoryRegistry, wake_ups: InMemoryWakeUps, unscanned: Manifest
) -> None:
    """An SBOM, for one: the event is served without an error, and the next one wakes the promotion again."""
    invoke(pushed())
    bill = referrer(unscanned)
    registry.untagged.append(bill)

    assert outcomes(invoke(referred(bill))) == ["WAITING"]

    assert len(wake_ups.found) == 1


@pytest.mark.parametrize("kept", [True, False])
def test_a_referrer_that_refers_to_nothing_that_waits_is_ignored(
    invoke: Invoke, registry: InMemoryRegistry, kept: bool
) -> None:
    """Nor is one that was deleted before its event came."""
    bill = referrer(IMAGE)
    registry.untagged += [bill] if kept else []

    assert invoke(referred(bill))["outcome"] == "IGNORED"
    assert registry.puts == []


def test_a_referrer_of_a_repository_that_is_gone_is_ignored(
    invoke: Invoke, registry: InMemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was deleted after the push: the event is not a dead letter."""

    def read(*_: Any) -> Any:
        raise RepositoryNotFound("it was deleted")

    monkeypatch.setattr(registry, "read", read)

    assert invoke(referred(referrer(IMAGE)))["outcome"] == "IGNORED"


ASK = {"repositoryName": "team/web", "source": {"imageTag": "build-7"}, "imageTags": ["prod"], "wait": True}


@pytest.fixture
def asked(
    invoke: Invoke,
    call: Callable[..., tuple[int, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    unscanned: Manifest,
) -> str:
    """Have a request wait for a scan and a signature; return its promotionId."""
    both = gate(findings={"CRITICAL": 0}, signed=True)
    monkeypatch.setattr(wiring, "policy", lambda: policy(rule(name="prod", to=["prod"], gate=both)))
    status, document = call("POST", "/promotions", ASK)
    assert (status, document["waitingFor"]) == (202, ["scan_pending", "unsigned"])
    return str(document["promotionId"])


@pytest.mark.parametrize("order", list(itertools.permutations(["scan", "signature"])))
def test_a_request_is_woken_by_the_events_of_its_image(
    asked: str,
    invoke: Invoke,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    wake_ups: InMemoryWakeUps,
    ledger: InMemoryLedger,
    logs: Logs,
    order: tuple[str, str],
) -> None:
    """Although no scan rule serves the repository. The last of them carries it out, as its caller's request."""
    signature = referrer(IMAGE)
    registry.untagged.append(signature)
    for number, what in enumerate(order):
        if what == "scan":
            image_facts.scans[IMAGE.digest] = FINISHED
            answer = invoke(enhanced(**{"image-tags": ["build-7"]}))
        else:
            image_facts.signatures.add(IMAGE.digest)
            answer = invoke(referred(signature))
        assert outcomes(answer) == (["PROMOTED"] if number else ["WAITING"])

    assert registry.tags["prod"] == IMAGE
    assert wake_ups.found == {}
    record = only(ledger)
    assert (record.promotion_id, record.outcome, record.caller) == (asked, "PROMOTED", CALLER)
    counted = [(each["trigger"], each["outcome"]) for each in logs() if "Promotions" in each]
    assert counted == [("request", "PROMOTED")]


def test_a_scan_that_comes_before_its_findings_wakes_a_request_again(
    asked: str, invoke: Invoke, image_facts: KnownImageFacts, wake_ups: InMemoryWakeUps
) -> None:
    """The event is delivered again, and the request still waits for it then."""
    image_facts.scans[IMAGE.digest] = Scan("IN_PROGRESS")

    with pytest.raises(PromoterError, match="is being scanned"):
        invoke(enhanced(**{"image-tags": []}))

    assert (IMAGE.digest, asked) in wake_ups.found
