"""Scan events as EventBridge delivers them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter import wiring
from promoter.domain.errors import PromoterError, RegistryError, Throttled
from promoter.domain.findings import Finding, Scan
from promoter.domain.manifest import OCI_INDEX
from tests.support.ledgers import InMemoryLedger
from tests.support.policies import ACCOUNT
from tests.support.registries import (
    FailingImageFacts,
    FailingRegistry,
    InMemoryRegistry,
    KnownImageFacts,
    manifest,
)

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
Logs = Callable[[], list[dict[str, Any]]]

IMAGE, OTHER = manifest('{"scanned": 1}'), manifest('{"other": 1}')
ARN = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/team/web"


@pytest.fixture(autouse=True)
def scanned(image_facts: KnownImageFacts) -> None:
    """Let the image have passed its scan, as it has when the event comes."""
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE")


def basic(**detail: Any) -> dict[str, Any]:
    """Return an `ECR Image Scan` event."""
    return {
        "version": "0",
        "id": "event-1",
        "source": "aws.ecr",
        "detail-type": "ECR Image Scan",
        "account": ACCOUNT,
        "region": "eu-central-1",
        "time": "2026-11-23T10:00:00Z",
        "resources": [ARN],
        "detail": {
            "scan-status": "COMPLETE",
            "repository-name": "team/web",
            "image-digest": IMAGE.digest,
            "image-tags": ["build-7"],
            "finding-severity-counts": {"MEDIUM": 1},
        }
        | detail,
    }


def enhanced(**detail: Any) -> dict[str, Any]:
    """Return an `Inspector2 Scan` event, which names the repository by ARN."""
    event = basic(**{"scan-status": "INITIAL_SCAN_COMPLETE", "repository-name": ARN} | detail)
    return event | {"source": "aws.inspector2", "detail-type": "Inspector2 Scan"}


def pushed(**detail: Any) -> dict[str, Any]:
    """Return an `ECR Image Action` event of a push."""
    members = {"action-type": "PUSH", "result": "SUCCESS", "image-tag": "build-7"} | detail
    event = basic() | {"detail-type": "ECR Image Action", "resources": []}
    event["detail"] = {"repository-name": "team/web", "image-digest": IMAGE.digest} | members
    return event


@pytest.mark.parametrize("event", [basic(), enhanced(), pushed()])
def test_a_finished_scan_promotes_the_scanned_image(
    invoke: Invoke, registry: InMemoryRegistry, event: dict[str, Any]
) -> None:
    """Both scanners, and a tag that comes after the scan: the rule's tags are put on the digest of the event."""
    registry.tags["build-7"] = IMAGE

    answer = invoke(event)

    assert registry.tags["staging"] == registry.tags["staging-7"] == IMAGE
    assert [(p["rule"], p["outcome"]) for p in answer["promotions"]] == [("staging", "PROMOTED")]


def test_an_event_delivered_ten_times_is_one_promotion(
    invoke: Invoke, registry: InMemoryRegistry, ledger: InMemoryLedger, logs: Logs
) -> None:
    """Every further delivery is told the first one's answer; nothing is written, announced or counted again."""
    registry.tags["build-7"] = IMAGE

    answers = [invoke(basic()) for _ in range(10)]

    assert [answer["promotions"][0]["outcome"] for answer in answers] == ["PROMOTED"] * 10
    assert len({answer["promotions"][0]["promotionId"] for answer in answers}) == 1
    assert registry.puts == ["staging", "staging-7"]
    assert ledger.outcomes() == ["PROMOTED"]
    assert sum("Promotions" in record for record in logs()) == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (basic(**{"scan-status": "FAILED"}), "FAILED"),
        (basic(**{"image-tags": []}), "needs a source tag"),
        (basic(**{"image-tags": None}), "needs a source tag"),
        (basic(**{"image-tags": ["staging"]}), "does not match"),
        (basic(**{"repository-name": "others/web"}), "others/web"),
        (basic() | {"account": "999999999999"}, "the image is in 999999999999, eu-central-1: only images"),
        (basic() | {"region": "us-east-1"}, f"the image is in {ACCOUNT}, us-east-1: only images"),
        (basic() | {"account": None}, "the image is in None, eu-central-1: only images"),
        (enhanced() | {"region": "us-east-1"}, f"the image is in {ACCOUNT}, us-east-1: only images"),
        (pushed() | {"account": "999999999999"}, "the image is in 999999999999, eu-central-1: only images"),
        (basic(**{"image-digest": "sha256:123"}), "not a sha256 digest"),
        (basic() | {"detail": None}, "not a finished image scan"),
        (basic() | {"detail-type": "ECR Replication Action"}, "ECR Replication Action"),
        (pushed(**{"image-tag": ""}), "pushed without a tag"),
        (pushed(**{"image-tag": "staging"}), "does not match"),
        (pushed(**{"action-type": "DELETE"}), "DELETE"),
        (pushed(result="FAILURE"), "FAILURE"),
        (enhanced(**{"repository-name": None, "instance-id": "i-1"}), "not of an image"),
        (
            enhanced(**{"repository-name": "arn:aws:ecr:eu-central-1:999999999999:repository/team/web"}),
            "the image is in 999999999999, eu-central-1: only images",
        ),
        (
            enhanced(**{"repository-name": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/team/web"}),
            f"the image is in {ACCOUNT}, us-east-1: only images",
        ),
    ],
)
def test_an_event_that_asks_for_nothing_is_ignored_with_its_reason(
    invoke: Invoke, registry: InMemoryRegistry, logs: Logs, event: dict[str, Any], reason: str
) -> None:
    """Nothing is read or written, and the log says why."""
    registry.tags["build-7"] = IMAGE

    answer = invoke(event)

    assert answer["outcome"] == "IGNORED"
    assert not registry.reads
    assert not registry.puts
    record = next(r for r in logs() if r.get("message") == "event ignored")
    assert reason in record["reason"]
    assert record["correlation_id"] == "event-1"


def test_counts_may_be_missing_from_the_event(invoke: Invoke, registry: InMemoryRegistry) -> None:
    """Severities that are zero are left out, or the whole map is: the event is no proof anyway."""
    registry.tags["build-7"] = IMAGE
    event = basic()
    del event["detail"]["finding-severity-counts"], event["time"]

    assert invoke(event)["promotions"][0]["outcome"] == "PROMOTED"


def test_a_refusal_is_no_error_of_the_invocation(invoke: Invoke, registry: InMemoryRegistry) -> None:
    """A tag that moved on since the scan: refused, recorded, and not delivered again."""
    registry.tags["build-7"] = OTHER
    registry.untagged.append(IMAGE)

    assert [p["outcome"] for p in invoke(basic())["promotions"]] == ["REFUSED"]
    assert registry.puts == []


def test_a_retryable_failure_is_raised_after_everything_was_tried(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda then delivers the event again; the other tag of the scan was served all the same."""
    registry = FailingRegistry(
        {"build-7": IMAGE, "build-8": IMAGE}, failing_tag="staging-7", failure=RegistryError("down")
    )
    monkeypatch.setattr(wiring, "registry", lambda: registry)

    with pytest.raises(RegistryError, match="down"):
        invoke(basic(**{"image-tags": ["build-7", "build-8"]}))
    assert registry.tags["staging-8"] == IMAGE


def test_a_call_of_neither_kind_is_an_error(invoke: Invoke) -> None:
    """A test event typed into the console fails loudly instead of doing nothing."""
    with pytest.raises(ValueError, match="not an event of"):
        invoke({"hello": "world"})


def test_an_image_with_findings_is_refused_whatever_the_event_counts(
    invoke: Invoke, registry: InMemoryRegistry, image_facts: KnownImageFacts, logs: Logs
) -> None:
    """The registry's findings are the truth; the log names the vulnerability and the metric the reason."""
    registry.tags["build-7"] = IMAGE
    image_facts.scans[IMAGE.digest] = Scan("COMPLETE", (Finding("CVE-2026-1", "CRITICAL", ("openssl",)),))

    answer = invoke(basic(**{"finding-severity-counts": {}}))

    assert [p["outcome"] for p in answer["promotions"]] == ["REFUSED"]
    assert registry.puts == []
    written = logs()
    record = next(r for r in written if r.get("message") == "promotion")
    assert record["reasons"][0]["vulnerability"] == "CVE-2026-1"
    assert any(r.get("reason") == "finding" and r["Refusals"] == [1.0] for r in written)


def test_findings_that_cannot_be_asked_for_promote_nothing(
    invoke: Invoke, registry: InMemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Throttled: the event comes again."""
    registry.tags["build-7"] = IMAGE
    monkeypatch.setattr(wiring, "image_facts", lambda: FailingImageFacts(failure=Throttled("slow down")))

    with pytest.raises(Throttled):
        invoke(basic())
    assert registry.puts == []


def test_a_scan_whose_findings_are_not_there_yet_comes_again(
    invoke: Invoke, registry: InMemoryRegistry, image_facts: KnownImageFacts
) -> None:
    """The event may overtake the findings that it tells of."""
    registry.tags["build-7"] = IMAGE
    image_facts.scans[IMAGE.digest] = Scan("IN_PROGRESS")

    with pytest.raises(PromoterError, match="is being scanned"):
        invoke(basic())
    assert registry.puts == []


AMD, ARM = manifest('{"arch": "amd64"}'), manifest('{"arch": "arm64"}')
INDEX = manifest(
    json.dumps({"manifests": [{"digest": AMD.digest, "platform": {"os": "linux"}}, {"digest": ARM.digest}]}),
    OCI_INDEX,
)


@pytest.mark.parametrize("order", list(itertools.permutations(["push", "amd", "arm"])))
@pytest.mark.parametrize("times", [1, 2])
def test_an_index_is_promoted_once_by_whichever_event_comes_last(
    invoke: Invoke,
    registry: InMemoryRegistry,
    image_facts: KnownImageFacts,
    ledger: InMemoryLedger,
    order: tuple[str, ...],
    times: int,
) -> None:
    """Its platforms are scanned without a tag, before or after it is pushed, in any order, each told twice."""
    registry.untagged += [AMD, ARM]
    image_facts.pushes |= {image.digest: datetime.now(UTC) for image in (INDEX, AMD, ARM)}
    for number, step in enumerate(order, start=1):
        if step == "push":
            registry.tags["build-7"] = INDEX
            event = pushed(**{"image-digest": INDEX.digest})
        else:
            image = AMD if step == "amd" else ARM
            image_facts.scans[image.digest] = Scan("ACTIVE")
            event = enhanced(**{"image-digest": image.digest, "image-tags": []})
        for _ in range(times):
            invoke(event)
        assert ("staging" in registry.tags) is (number == 3)

    assert registry.tags["staging"] == INDEX
    assert ledger.outcomes() == ["PROMOTED"]
    assert registry.puts == ["staging", "staging-7"]
