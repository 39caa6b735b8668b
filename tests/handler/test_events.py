"""Scan events as EventBridge delivers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from promoter import wiring
from promoter.errors import RegistryError
from tests.support.policies import ACCOUNT
from tests.support.registries import FailingRegistry, InMemoryRegistry, manifest

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
Logs = Callable[[], list[dict[str, Any]]]

IMAGE, OTHER = manifest('{"scanned": 1}'), manifest('{"other": 1}')
ARN = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/team/web"


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


@pytest.mark.parametrize("event", [basic(), enhanced()])
def test_a_finished_scan_promotes_the_scanned_image(
    invoke: Invoke, registry: InMemoryRegistry, event: dict[str, Any]
) -> None:
    """Both scanners: the rule's tags are put on the digest of the event."""
    registry.tags["build-7"] = IMAGE

    answer = invoke(event)

    assert registry.tags["staging"] == registry.tags["staging-7"] == IMAGE
    assert [(p["rule"], p["outcome"]) for p in answer["promotions"]] == [("staging", "PROMOTED")]


def test_an_event_delivered_twice_is_one_promotion(invoke: Invoke, registry: InMemoryRegistry) -> None:
    """The second delivery has the same promotionId, finds all done, and writes nothing."""
    registry.tags["build-7"] = IMAGE

    first, second = invoke(basic()), invoke(basic())

    assert [p["outcome"] for p in second["promotions"]] == ["UNCHANGED"]
    assert first["promotions"][0]["promotionId"] == second["promotions"][0]["promotionId"]
    assert registry.puts == ["staging", "staging-7"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (basic(**{"scan-status": "FAILED"}), "FAILED"),
        (basic(**{"image-tags": []}), "needs a source tag"),
        (basic(**{"image-tags": None}), "needs a source tag"),
        (basic(**{"image-tags": ["staging"]}), "does not match"),
        (basic(**{"repository-name": "others/web"}), "others/web"),
        (basic() | {"account": "999999999999"}, "no scan rule"),
        (basic(**{"image-digest": "sha256:123"}), "no sha256 digest"),
        (basic() | {"detail": None}, "no finished image scan"),
        (basic() | {"detail-type": "ECR Image Action"}, "ECR Image Action"),
        (enhanced(**{"repository-name": None, "instance-id": "i-1"}), "not of an image"),
        (
            enhanced(**{"repository-name": "arn:aws:ecr:eu-central-1:999999999999:repository/team/web"}),
            "no scan rule",
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
    with pytest.raises(ValueError, match="neither"):
        invoke({"hello": "world"})
