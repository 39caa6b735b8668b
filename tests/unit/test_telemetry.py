"""What operators see of promotions: log records and metrics."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter import telemetry
from promoter.domain import documents
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import (
    Frozen,
    GateRefused,
    InvalidRequest,
    LedgerError,
    PromotionNotFound,
    RegistryError,
    TagImmutable,
)
from promoter.domain.model import ImageId, Outcome, Promoted, Promotion, Reason, Source, TagMove, Trigger, Wait
from promoter.domain.records import Record
from tests.support.registries import REPOSITORY, manifest

NEW = manifest('{"secret-in-manifest": 1}')
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MOVES = (TagMove("v1", Outcome.PROMOTED, "sha256:0"),)
REASONS = tuple(Reason(code, "no") for code in ("finding", "finding", "unsigned"))

Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Written:
    """Return the log records, and after them the metrics."""
    stream = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", stream)

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (stream.getvalue() + capsys.readouterr().out).splitlines()]

    return read


def asked(trigger: Trigger) -> Promotion:
    return Promotion("p-1", trigger, REPOSITORY, Source(ImageId("staging")), rule="prod")


def counted(lines: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the name of each metric with its dimensions."""
    names = ("Promotions", "Retries", "Refusals")
    return [
        (name, *(line[dimension] for dimension in ("trigger", "outcome", "reason") if dimension in line))
        for line in lines
        for name in names
        if name in line
    ]


def not_promoted(error: Any) -> NotPromoted:
    return NotPromoted(error, MOVES, NEW.digest)


@pytest.mark.parametrize(
    ("trigger", "answer", "level", "metrics"),
    [
        (
            Trigger.REQUEST,
            Promoted("p-1", "prod", REPOSITORY, NEW, MOVES),
            "INFO",
            [("Promotions", "request", "PROMOTED")],
        ),
        (
            Trigger.REQUEST,
            not_promoted(RegistryError("down")),
            "ERROR",
            [("Promotions", "request", "FAILED")],
        ),
        (Trigger.SCAN, not_promoted(RegistryError("down")), "ERROR", [("Retries", "scan")]),
        (Trigger.SCAN, not_promoted(TagImmutable("v1")), "ERROR", [("Promotions", "scan", "FAILED")]),
        (
            Trigger.SCAN,
            not_promoted(GateRefused("no", reasons=REASONS)),
            "WARNING",
            [("Refusals", "finding"), ("Refusals", "unsigned"), ("Promotions", "scan", "REFUSED")],
        ),
        (
            Trigger.REQUEST,
            not_promoted(Frozen("incident")),
            "WARNING",
            [("Refusals", "frozen"), ("Promotions", "request", "REFUSED")],
        ),
    ],
)
def test_a_promotion_is_counted_by_how_it_ended(
    written: Written, trigger: Trigger, answer: Answer, level: str, metrics: list[tuple[str, ...]]
) -> None:
    """A failure that comes again by itself counts as a retry; a refusal by its reasons too."""
    telemetry.report(asked(trigger), answer, milliseconds=12.34)

    record, *lines = written()
    assert (record["message"], record["level"], record["outcome"]) == ("promotion", level, answer.outcome)
    assert (record["promotion_id"], record["rule"], record["milliseconds"]) == ("p-1", "prod", 12.3)
    assert record["moves"] == [{"tag": "v1", "outcome": "PROMOTED", "previous": "sha256:0"}]
    assert counted(lines) == metrics
    assert "secret-in-manifest" not in json.dumps([record, *lines])


def test_a_failure_says_what_happened(written: Written) -> None:
    """By its code, its sentence and its reasons; a long sentence is cut."""
    telemetry.report(
        asked(Trigger.REQUEST), not_promoted(GateRefused("x" * 5_000, reasons=REASONS)), milliseconds=0
    )

    record = written()[0]
    assert record["code"] == "gate_refused"
    assert len(record["detail"]) <= 1_000
    assert [reason["code"] for reason in record["reasons"]] == ["finding", "finding", "unsigned"]


def waiting(trigger: Trigger, *reasons: Reason, repeated: bool = False) -> Waiting:
    """Return the answer of a promotion that waits for what the reasons say."""
    record = documents.waits(replace(documents.opened(asked(trigger)), moves=MOVES), Wait(NOW), reasons)
    return Waiting(record, repeated)


@pytest.mark.parametrize("trigger", list(Trigger))
def test_a_promotion_that_waits_is_not_counted(written: Written, trigger: Trigger) -> None:
    """It has not ended; its log record says what it waits for, and until when."""
    answer = waiting(trigger, Reason("frozen", "incident", rule="prod"), Reason("unsigned", "sign it"))

    telemetry.report(asked(trigger), answer, milliseconds=0)

    (record,) = written()
    assert (record["message"], record["outcome"], record["level"]) == ("promotion waits", "WAITING", "INFO")
    assert (record["detail"], record["rule"]) == ("incident", "prod")
    assert [reason["code"] for reason in record["reasons"]] == ["frozen", "unsigned"]
    assert record["waits_until"] == NOW.isoformat()


def test_the_reasons_to_wait_fit_into_a_log_record(written: Written) -> None:
    """CloudWatch would cut a longer one: an index of fifty platforms has as many reasons, of any length."""
    many = [Reason("scan_pending", "é" * 10_000, platform="x" * 10_000) for _ in range(50)]

    telemetry.report(asked(Trigger.SCAN), waiting(Trigger.SCAN, *many), milliseconds=0)

    (record,) = written()
    assert len(json.dumps(record)) < 256 * 1024


def test_a_request_that_has_waited_is_tried_again_by_itself(written: Written) -> None:
    """Nobody is answered that a try failed: it counts as a retry, and the promotion when it ends."""
    accepted = replace(asked(Trigger.REQUEST), wait=Wait(NOW, seen={}))

    telemetry.report(accepted, not_promoted(LedgerError("down")), milliseconds=0)

    assert counted(written()[1:]) == [("Retries", "request")]


def test_a_request_that_could_not_be_accepted_has_failed(written: Written) -> None:
    """Its caller is told so, although it would have waited."""
    asking = replace(asked(Trigger.REQUEST), wait=Wait(NOW))

    telemetry.report(asking, not_promoted(LedgerError("down")), milliseconds=0)

    assert counted(written()[1:]) == [("Promotions", "request", "FAILED")]


@pytest.mark.parametrize(
    "answer",
    [
        Promoted("p-1", "prod", REPOSITORY, NEW, MOVES, repeated=True),
        NotPromoted(RegistryError("down"), repeated=True),
        Waiting(Record("p-1", Trigger.REQUEST, REPOSITORY, ImageId("staging"), NOW), repeated=True),
    ],
)
def test_a_repeated_answer_is_logged_and_not_counted_again(written: Written, answer: Answer) -> None:
    """It was counted when it was given first."""
    telemetry.report(asked(Trigger.REQUEST), answer, milliseconds=0)

    (record,) = written()
    assert (record["message"], record["outcome"]) == ("promotion repeated", answer.outcome)


def test_an_event_that_is_given_up_is_counted_as_failed(written: Written) -> None:
    """Its tries were counted as retries. A mistake of ours in an event is counted by Lambda's own metric."""
    telemetry.report_given_up(RegistryError("down"))
    telemetry.report_given_up(ValueError("not JSON"))

    assert counted(written()) == [("Promotions", "scan", "FAILED")]


def test_a_request_that_cannot_be_read_is_counted_as_refused(written: Written) -> None:
    """The log names its member."""
    telemetry.report_invalid(InvalidRequest("odd", field="source"), promotion_id="p-1", caller="ann")

    record, *lines = written()
    assert (record["message"], record["field"], record["caller"]) == ("invalid request", "source", "ann")
    assert counted(lines) == [("Promotions", "request", "REFUSED")]


@pytest.mark.parametrize(
    ("error", "level"), [(PromotionNotFound("there is none"), "WARNING"), (RegistryError("down"), "ERROR")]
)
def test_a_refused_call_is_logged_and_is_no_promotion(written: Written, error: Any, level: str) -> None:
    """With its route and who called."""
    telemetry.report_refused(error, route="GET /heads", caller=None)

    (record,) = written()
    assert (record["message"], record["level"], record["route"]) == ("call refused", level, "GET /heads")
    assert record["code"] == error.code
