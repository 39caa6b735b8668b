"""How promotions of one tag stand in each other's way, and how each is told the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.domain import rollback
from promoter.domain.errors import (
    DigestMismatch,
    Frozen,
    GateRefused,
    IdempotencyConflict,
    Interrupted,
    LedgerError,
    RegistryError,
    ScanPending,
    Superseded,
    TagBusy,
    TagChanged,
    Throttled,
)
from promoter.domain.leasing import Begun, LeaseLost, Stale
from promoter.domain.leasing import Busy as IsBusy
from promoter.domain.model import (
    Finding,
    ImageId,
    Lease,
    Manifest,
    Outcome,
    Promotion,
    Record,
    Repository,
    Scan,
    Source,
    Trigger,
)
from promoter.domain.policy import Freeze
from promoter.domain.ports import Found
from promoter.promotion import promote as use_case
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import recover
from tests.support.answers import promote, stopped
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.registries import REPOSITORY, FailingRegistry, InMemoryRegistry, KnownImageFacts, manifest

OLD, NEW, OTHER = manifest('{"old": 1}'), manifest('{"new": 1}'), manifest('{"other": 1}')
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANY_TAG = policy(rule(to_matching=[".*"]))
SCANS = policy(rule(name="staging", on="scan", to=["staging"], **{"from": "build-.*"}))


def promotion(tag: str = "new", **members: Any) -> Promotion:
    """Ask for prod on the image of a tag."""
    defaults: dict[str, Any] = {
        "promotion_id": "p-1",
        "trigger": Trigger.REQUEST,
        "repository": REPOSITORY,
        "source": Source(ImageId(tag)),
    }
    return Promotion(**(defaults | members))


@pytest.fixture
def registry() -> InMemoryRegistry:
    return InMemoryRegistry({"new": NEW, "other": OTHER, "prod": OLD})


@dataclass
class Busy(InMemoryLedger):
    """A ledger in which somebody else has the lease for a while."""

    times: int = 0

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None) -> Begun:
        if self.times:
            self.times -= 1
            return IsBusy("Another promotion is moving prod. Retry.")
        return super().begin(record, seen, versions, after)


@dataclass
class Ticking:
    """A clock that goes on by a second, or by another step, at each look."""

    at: datetime = NOW
    step: timedelta = timedelta(seconds=1)

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at


def test_who_comes_second_waits_for_the_lease(registry: InMemoryRegistry) -> None:
    """And looks again before it goes on."""
    waited: list[float] = []
    ledger = Busy(times=3)

    answer = promote(promotion(), replace(dependencies(ANY_TAG, registry, ledger=ledger), pause=waited.append))

    assert answer.outcome is Outcome.PROMOTED
    assert len(waited) == 3
    assert len(registry.reads) == 4


def test_patience_ends(registry: InMemoryRegistry) -> None:
    """Then the caller is told when to come again; nothing was moved, and nothing recorded."""
    ledger = Busy(times=1000)

    with pytest.raises(TagBusy) as busy:
        promote(promotion(), dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking()))

    assert (busy.value.http_status, busy.value.retry_after) == (409, 1)
    assert registry.puts == []
    assert ledger.announced == []


def test_the_gate_is_judged_once_while_waiting() -> None:
    """ImageFacts are read once, however often the tag is looked at."""
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    gated = policy(rule(gate=gate(findings={"CRITICAL": 0})))

    promote(promotion(), dependencies(gated, InMemoryRegistry({"new": NEW}), image_facts, ledger=Busy(times=5)))

    assert image_facts.asked == [NEW.digest]


@dataclass
class RacingLedger(InMemoryLedger):
    """A ledger in which another promotion takes place just before the first lease."""

    race: list[Callable[[], object]] = field(default_factory=list)

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None) -> Begun:
        if self.race:
            self.race.pop()()
        return super().begin(record, seen, versions, after)


def test_what_was_expected_holds_when_the_tag_is_put(registry: InMemoryRegistry) -> None:
    """Compare-and-swap: another promotion between the look and the lease is noticed."""
    ledger = RacingLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    ledger.race.append(lambda: promote(promotion("other", promotion_id="p-2"), inner))

    with pytest.raises(TagChanged):
        promote(promotion(expected_digests={"prod": OLD.digest}), inner)

    assert registry.tags["prod"] == OTHER


def test_without_expectations_the_second_move_begins_where_the_first_ended(registry: InMemoryRegistry) -> None:
    """The answer tells the digest that the tag really had."""
    ledger = RacingLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    ledger.race.append(lambda: promote(promotion("other", promotion_id="p-2"), inner))

    answer = promote(promotion(), inner)

    assert [move.previous_digest for move in answer.moves] == [OTHER.digest]


def test_a_tag_that_somebody_moved_past_us_is_promoted_all_the_same(registry: InMemoryRegistry) -> None:
    """The ledger's head is out of date: it is looked at again, and goes on from where the tag is."""
    ledger = InMemoryLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    promote(promotion(), inner)
    registry.tags["prod"] = OTHER

    answer = promote(promotion(promotion_id="p-2"), inner)

    assert answer.moves[0].previous_digest == OTHER.digest


@dataclass
class LostAnswers(InMemoryRegistry):
    """A registry that puts, and then fails to say so; `blind`: nor does it read again."""

    done: bool = True
    blind: bool = False

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if self.done:
            super().put(repository, manifest, image_tag)
        raise RegistryError("no answer")

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
        if self.blind and self.reads:
            raise RegistryError("no answer")
        return super().read(repository, image_ids)


@pytest.mark.parametrize("done", [True, False])
def test_after_a_lost_answer_the_tag_tells_what_happened(*, done: bool) -> None:
    """Put or not: the record says the same as the registry."""
    ledger = InMemoryLedger()
    lossy = LostAnswers({"new": NEW}, done=done)

    if done:
        assert promote(promotion(), dependencies(ANY_TAG, lossy, ledger=ledger)).outcome is Outcome.PROMOTED
    else:
        with pytest.raises(RegistryError):
            promote(promotion(), dependencies(ANY_TAG, lossy, ledger=ledger))
    assert ledger.outcomes() == ["PROMOTED" if done else "FAILED"]


def test_what_nobody_can_tell_is_left_to_be_settled() -> None:
    """Nothing is recorded that is not known: the lease stays until its time is over."""
    ledger = InMemoryLedger(now := Ticking())
    blind = LostAnswers({"new": NEW, "other": OTHER}, blind=True)

    with pytest.raises(RegistryError):
        promote(promotion(), dependencies(ANY_TAG, blind, ledger=ledger, now=now))
    assert ledger.announced == []

    now.at += timedelta(minutes=1)
    seeing = InMemoryRegistry(blind.tags)
    promote(promotion("other", promotion_id="p-2"), dependencies(ANY_TAG, seeing, ledger=ledger, now=now))
    assert [(each.promotion_id, each.outcome) for each in ledger.announced] == [
        ("p-1", "PROMOTED"),
        ("p-2", "PROMOTED"),
    ]


@dataclass
class Silent(LostAnswers):
    """A registry that gives no answer, and puts the tag later or never."""

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        raise RegistryError("read time-out", unanswered=True)


def test_a_put_that_may_still_arrive_keeps_the_lease() -> None:
    """Or it could overtake the next promotion; when the lease is over the tag is looked at once more."""
    ledger = InMemoryLedger(now := Ticking())
    silent = Silent({"new": NEW, "other": OTHER})

    with pytest.raises(RegistryError):
        promote(promotion(), dependencies(ANY_TAG, silent, ledger=ledger, now=now))
    with pytest.raises(TagBusy):
        promote(promotion("other", promotion_id="p-2"), dependencies(ANY_TAG, silent, ledger=ledger, now=now))

    now.at += timedelta(minutes=1)
    recover("p-1", dependencies(ANY_TAG, silent, ledger=ledger, now=now))
    assert [(each.promotion_id, each.code) for each in ledger.announced] == [("p-1", "interrupted")]


@dataclass
class LostThenThrottled(InMemoryRegistry):
    """A registry that puts without saying so, and then asks for patience, so often."""

    times: int = 1

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        there = self.tags.get(image_tag) == manifest
        self.tags[image_tag] = manifest
        if self.times:
            self.times -= 1
            raise Throttled("after a time-out")
        return not there


@pytest.mark.parametrize("times", [1, 1000])
def test_throttling_after_a_lost_answer_hides_no_move(times: int) -> None:
    """Whether the next try finds the tag there, or there is no time for one."""
    ledger = InMemoryLedger()
    registry = LostThenThrottled({"new": NEW, "prod": OLD}, times=times)

    answer = promote(promotion(), dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking()))

    assert [(move.outcome, move.previous_digest) for move in answer.moves] == [("PROMOTED", OLD.digest)]
    assert ledger.outcomes() == ["PROMOTED"]


@dataclass
class ThrottledAfterSilence(InMemoryRegistry):
    """A registry whose first put gets no answer, and that then only asks for patience."""

    tries: int = 0

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        self.tries += 1
        raise Throttled("10 a second", unanswered=self.tries == 1)


def test_throttling_after_silence_leaves_open_what_was_done() -> None:
    """The first put may still be carried out: the lease is kept, and nothing is recorded that is not known."""
    ledger = InMemoryLedger(now := Ticking())
    registry = ThrottledAfterSilence({"new": NEW})

    with pytest.raises(Throttled):
        promote(promotion(), dependencies(ANY_TAG, registry, ledger=ledger, now=now))

    assert registry.tries > 1
    assert ledger.announced == []
    assert ledger.lease("p-1") is not None


def test_throttling_alone_frees_the_lease() -> None:
    """A try that was turned away is not carried out later."""
    ledger = InMemoryLedger(now := Ticking())

    with pytest.raises(Throttled):
        promote(promotion(), dependencies(ANY_TAG, Throttling({"new": NEW}, times=1000), ledger=ledger, now=now))

    assert ledger.outcomes() == ["FAILED"]
    assert ledger.held == {}


def test_no_put_begins_that_could_outlast_the_lease() -> None:
    """It could overtake the promotion that takes the tag next: this one ends instead, with what it has put."""
    ledger = InMemoryLedger(now := Ticking(step=timedelta(seconds=3)))
    registry = InMemoryRegistry({"new": NEW}, longest_put=timedelta(seconds=20))

    late = stopped(promotion(image_tags=("a", "b", "c")), dependencies(ANY_TAG, registry, ledger=ledger, now=now))
    assert isinstance(late.error, Interrupted)
    assert "no time left to put c" in late.error.detail

    assert registry.puts == ["a", "b"]
    assert [move.image_tag for move in late.moves] == ["a", "b"]
    (record,) = ledger.announced
    assert (record.code, record.moves) == ("interrupted", late.moves)


@dataclass
class Interfering(InMemoryRegistry):
    """A registry at whose next read something happens."""

    happens: Callable[[], object] | None = None

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
        happens, self.happens = self.happens, None
        if happens:
            happens()
        return super().read(repository, image_ids)


def interrupted(now: Ticking) -> tuple[InMemoryLedger, Interfering]:
    """Return a ledger in which p-1 has stopped in the middle, and whose lease is over."""
    ledger = InMemoryLedger(now)
    silent = Silent({"new": NEW, "other": OTHER})
    with pytest.raises(RegistryError):
        promote(promotion(), dependencies(ANY_TAG, silent, ledger=ledger, now=now))
    now.at += timedelta(minutes=1)
    return ledger, Interfering(silent.tags)


def test_two_that_settle_the_same_promotion_both_go_on() -> None:
    """Who comes second finds that it is done: that is no failure of his."""
    ledger, registry = interrupted(now := Ticking())
    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    lease = ledger.leases["p-1"]
    registry.happens = lambda: recover("p-1", here)

    recover("p-1", here)

    assert lease.record.promotion_id not in ledger.leases
    assert ledger.outcomes() == ["FAILED"]


def test_what_stands_in_the_way_is_for_waiting() -> None:
    """That somebody else's promotion cannot be settled is no final answer for this one."""
    ledger, registry = interrupted(now := Ticking())

    def broken() -> None:
        raise DigestMismatch("damaged")

    here = dependencies(ANY_TAG, registry, ledger=ledger, now=now)
    first_read = registry.read

    def after_the_read() -> None:
        registry.happens = broken

    registry.happens = after_the_read
    with pytest.raises(TagBusy, match="damaged"):
        promote(promotion("other", promotion_id="p-2"), here)
    assert first_read is not None


@dataclass
class Forgetful(InMemoryLedger):
    """A ledger that fails at one of its calls."""

    fails_at: str = ""

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None) -> Begun:
        self._fail("begin")
        return super().begin(record, seen, versions, after)

    def finish(self, lease: Lease, record: Record) -> LeaseLost | None:
        self._fail("finish")
        return super().finish(lease, record)

    def _fail(self, call: str) -> None:
        if self.fails_at == call:
            raise LedgerError("the table is gone")


def test_nothing_is_put_without_a_recorded_intent(registry: InMemoryRegistry) -> None:
    """A ledger that cannot be written stops the promotion."""
    with pytest.raises(LedgerError):
        promote(promotion(), dependencies(ANY_TAG, registry, ledger=Forgetful(fails_at="begin")))
    assert registry.puts == []


def test_a_record_that_fails_says_what_was_put(registry: InMemoryRegistry) -> None:
    """The caller knows that the tag has moved; the ledger will, once the lease is over."""
    failed = stopped(promotion(), dependencies(ANY_TAG, registry, ledger=Forgetful(fails_at="finish")))
    assert isinstance(failed.error, LedgerError)

    assert [move.outcome for move in failed.moves] == ["PROMOTED"]
    assert failed.image_digest == NEW.digest


@dataclass
class Throttling(InMemoryRegistry):
    """A registry whose quota of PutImage is used up for a while."""

    times: int = 0

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if self.times:
            self.times -= 1
            raise Throttled("10 a second")
        return super().put(repository, manifest, image_tag)


def test_a_put_waits_for_its_share_of_the_quota() -> None:
    """Inside its lease, so that nobody else gets in between; then all tags are put."""
    waited: list[float] = []
    throttling = Throttling({"new": NEW}, times=3)
    inner = replace(dependencies(ANY_TAG, throttling, now=Ticking()), pause=waited.append)

    answer = promote(promotion(image_tags=("a", "b")), inner)

    assert [move.outcome for move in answer.moves] == ["PROMOTED", "PROMOTED"]
    assert len(waited) == 3
    assert all(0 < seconds <= 1 for seconds in waited)


def test_the_wait_for_the_quota_ends() -> None:
    """In time for the function to tell; the tags of a promotion wait together."""
    waited: list[float] = []
    clock = Ticking(step=timedelta(seconds=0.5))  # there are two looks at the clock for each try
    inner = replace(dependencies(ANY_TAG, Throttling({"new": NEW}, times=1000), now=clock), pause=waited.append)

    with pytest.raises(Throttled):
        promote(promotion(), inner)
    assert 5 < len(waited) < 12
    assert clock.at < NOW + timedelta(seconds=20)


def test_a_failure_half_way_is_recorded_with_what_was_put() -> None:
    """And the tags are free again."""
    ledger = InMemoryLedger()
    failing = FailingRegistry({"new": NEW}, failing_tag="b", failure=Throttled("slow down"))

    with pytest.raises(Throttled):
        promote(promotion(image_tags=("a", "b")), dependencies(ANY_TAG, failing, ledger=ledger, now=Ticking()))

    (record,) = ledger.announced
    assert (record.outcome, record.code) == ("FAILED", "throttled")
    assert [move.image_tag for move in record.moves] == ["a"]
    assert ledger.held == {}


def test_a_retry_keeps_what_the_first_try_has_put() -> None:
    """In the answer and the record, so that all of it can be taken back."""
    ledger = InMemoryLedger()
    registry = FailingRegistry(
        {"new": NEW, "a": OLD, "b": OLD}, untagged=[OLD], failing_tag="b", failure=Throttled("slow down")
    )
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f")
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.failure = None

    answer = promote(two, inner)

    assert [(move.outcome, move.previous_digest) for move in answer.moves] == [("PROMOTED", OLD.digest)] * 2
    assert ledger.records["p-1"].moves == answer.moves
    back = promote(rollback.promotion(ledger.records["p-1"], rollback.Undo("p-2", "ann", None)), inner)
    assert [move.image_tag for move in back.moves] == ["a", "b"]
    assert registry.tags["a"] == registry.tags["b"] == OLD


def test_a_retry_expects_what_the_first_try_expected() -> None:
    """The tag that it has put itself is no change that somebody else has made."""
    ledger = InMemoryLedger()
    registry = FailingRegistry({"new": NEW, "a": OLD, "b": OLD}, failing_tag="b", failure=Throttled("slow down"))
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f", expected_digests={"a": OLD.digest, "b": OLD.digest})
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.failure = None

    assert [move.outcome for move in promote(two, inner).moves] == ["PROMOTED", "PROMOTED"]


def test_a_retry_does_not_excuse_what_somebody_else_has_moved() -> None:
    """Then it is refused as it would have been."""
    ledger = InMemoryLedger()
    registry = FailingRegistry(
        {"new": NEW, "other": OTHER, "a": OLD, "b": OLD}, failing_tag="b", failure=Throttled("slow down")
    )
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f", expected_digests={"a": OLD.digest, "b": OLD.digest})
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.failure = None
    promote(promotion("other", promotion_id="p-2", image_tags=("b",)), inner)

    with pytest.raises(TagChanged):
        promote(two, inner)
    assert registry.tags["b"] == OTHER


def test_a_rollback_that_got_half_way_can_be_finished() -> None:
    """By the same call again, and by another."""
    for again in ("p-2", "p-3"):
        ledger = InMemoryLedger()
        registry = FailingRegistry({"new": NEW, "a": OLD, "b": OLD}, untagged=[OLD, NEW])
        inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
        promote(promotion(image_tags=("a", "b")), inner)
        done = ledger.records["p-1"]
        registry.failing_tag, registry.failure = "b", Throttled("slow down")
        with pytest.raises(Throttled):
            promote(rollback.promotion(done, rollback.Undo("p-2", "ann", None)), inner)
        registry.failure = None

        promote(rollback.promotion(done, rollback.Undo(again, "ann", None)), inner)

        assert registry.tags["a"] == registry.tags["b"] == OLD


def test_a_retry_that_has_nothing_left_to_do_says_what_was_done() -> None:
    """Here somebody else has put the other tag meanwhile."""
    ledger = InMemoryLedger()
    registry = FailingRegistry({"new": NEW, "a": OLD}, failing_tag="b", failure=Throttled("slow down"))
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f")
    with pytest.raises(Throttled):
        promote(two, inner)
    registry.tags["b"] = NEW

    answer = promote(two, inner)

    assert [move.outcome for move in answer.moves] == ["PROMOTED", "UNCHANGED"]
    assert answer.outcome is Outcome.PROMOTED
    assert ledger.records["p-1"].moves == answer.moves


def test_a_retry_that_is_refused_says_what_the_first_try_has_put() -> None:
    """The image is still there under that tag."""
    ledger = InMemoryLedger()
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    gated = policy(rule(to_matching=[".*"], gate=gate(findings={"HIGH": 0})))
    registry = FailingRegistry({"new": NEW, "a": OLD}, failing_tag="b", failure=Throttled("slow down"))
    inner = dependencies(gated, registry, image_facts, ledger=ledger, now=Ticking())
    two = promotion(image_tags=("a", "b"), fingerprint="f")
    with pytest.raises(Throttled):
        promote(two, inner)
    image_facts.scans[NEW.digest] = Scan("COMPLETE", (Finding("CVE-1", "HIGH", ("openssl",)),))

    refused = stopped(two, inner)
    assert isinstance(refused.error, GateRefused)

    assert [(move.image_tag, move.outcome) for move in refused.moves] == [("a", "PROMOTED")]
    record = ledger.records["p-1"]
    assert (record.outcome, record.image_digest, record.moves) == ("REFUSED", NEW.digest, refused.moves)


def test_a_repeat_is_told_the_first_answer_whatever_is_in_its_way_now() -> None:
    """A scan is under way again, or the repository is gone."""
    ledger = InMemoryLedger()
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    inner = dependencies(
        policy(rule(gate=gate(findings={"HIGH": 0}))), InMemoryRegistry({"new": NEW}), image_facts, ledger=ledger
    )
    promote(promotion(fingerprint="f"), inner)
    image_facts.scans[NEW.digest] = Scan("IN_PROGRESS")

    assert promote(promotion(fingerprint="f"), inner).repeated
    with pytest.raises(ScanPending):
        promote(promotion(fingerprint="f", promotion_id="p-2"), inner)


@dataclass
class OneAtATime(InMemoryLedger):
    """A ledger that tells of one head that has moved at a time."""

    told: list[str] = field(default_factory=list)

    def begin(self, record: Record, seen: Any, versions: Any, after: Any = None) -> Begun:
        begun = super().begin(record, seen, versions, after)
        if not isinstance(begun, Stale):
            return begun
        tag = next(tag for tag in begun.versions if tag not in versions)
        self.told.append(tag)
        return Stale({tag: begun.versions[tag]})


def test_heads_that_are_told_of_one_by_one_are_all_remembered(registry: InMemoryRegistry) -> None:
    """Two tags that somebody moved past the ledger do not take turns for ever."""
    ledger = OneAtATime()
    inner = dependencies(ANY_TAG, registry, ledger=ledger, now=Ticking())
    promote(promotion(image_tags=("a", "b")), inner)
    registry.tags |= {"a": OLD, "b": OLD}

    assert (
        promote(promotion("other", promotion_id="p-2", image_tags=("a", "b")), inner).outcome is Outcome.PROMOTED
    )
    assert sorted(ledger.told) == ["a", "b"]


def repeated(inner: Dependencies, **members: Any) -> Any:
    """Send the same promotion twice; return the second answer, which is of the same kind as the first."""
    with_key = promotion(fingerprint="f", **members)
    first, again = use_case.promote(with_key, inner), use_case.promote(with_key, inner)
    assert type(again) is type(first)
    return again


def test_a_repeat_is_told_the_first_answer(registry: InMemoryRegistry) -> None:
    """Also when the tag has moved on since, and without a further record."""
    ledger = InMemoryLedger()
    inner = dependencies(ANY_TAG, registry, ledger=ledger)
    promote(promotion(fingerprint="f"), inner)
    promote(promotion("other", promotion_id="p-2"), inner)

    again = promote(promotion(fingerprint="f"), inner)

    assert (again.outcome, again.moves[0].previous_digest, again.manifest) == ("PROMOTED", OLD.digest, NEW)
    assert again.repeated
    assert len(ledger.announced) == 2
    assert registry.tags["prod"] == OTHER


def test_a_repeated_refusal_is_told_again(registry: InMemoryRegistry) -> None:
    """With its reasons."""
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("a",)),))})
    gated = policy(rule(gate=gate(findings={"CRITICAL": 0})))
    ledger = InMemoryLedger()

    again = repeated(dependencies(gated, registry, image_facts, ledger=ledger))

    assert again.repeated
    assert (again.error.code, again.error.reasons[0].vulnerability) == ("gate_refused", "CVE-1")
    assert ledger.outcomes() == ["REFUSED"]


def test_a_key_of_another_request_is_a_conflict(registry: InMemoryRegistry) -> None:
    """Nothing is done and nothing recorded."""
    ledger = InMemoryLedger()
    promote(promotion(fingerprint="f"), dependencies(ANY_TAG, registry, ledger=ledger))

    with pytest.raises(IdempotencyConflict):
        promote(promotion("other", fingerprint="g"), dependencies(ANY_TAG, registry, ledger=ledger))
    assert len(ledger.announced) == 1
    assert registry.tags["prod"] == NEW


def test_a_dry_run_leaves_no_trace(registry: InMemoryRegistry) -> None:
    """No call of the ledger at all."""
    ledger = InMemoryLedger()

    assert (
        promote(promotion(dry_run=True), dependencies(ANY_TAG, registry, ledger=ledger)).outcome is Outcome.PLANNED
    )
    with pytest.raises(TagChanged):
        promote(
            promotion(dry_run=True, expected_digests={"prod": None}),
            dependencies(ANY_TAG, registry, ledger=ledger),
        )
    assert ledger.calls == []


@pytest.mark.parametrize(("asked", "calls"), [("new", ["begin", "finish"]), ("prod", ["record"])])
def test_two_calls_of_the_ledger_for_a_promotion_and_one_where_all_is_done(
    registry: InMemoryRegistry, asked: str, calls: list[str]
) -> None:
    """However many tags there are."""
    ledger = InMemoryLedger()
    registry.tags["v1"] = OLD

    promote(promotion(asked, image_tags=("prod", "v1")), dependencies(ANY_TAG, registry, ledger=ledger))

    assert ledger.calls == calls


def scan_of(image: Manifest, tag: str) -> Promotion:
    return promotion(trigger=Trigger.SCAN, source=Source(ImageId(tag, image.digest)), rule="staging")


def test_a_late_scan_of_an_older_image_is_superseded() -> None:
    """By the time of the push; the tag stays, and the refusal is recorded."""
    image_facts = KnownImageFacts(
        {OLD.digest: Scan("COMPLETE"), NEW.digest: Scan("COMPLETE")},
        pushes={OLD.digest: NOW - timedelta(hours=1), NEW.digest: NOW},
    )
    registry = InMemoryRegistry({"build-1": OLD, "build-2": NEW, "staging": NEW})
    ledger = InMemoryLedger()

    with pytest.raises(Superseded, match="after"):
        promote(scan_of(OLD, "build-1"), dependencies(SCANS, registry, image_facts, ledger=ledger))

    assert registry.tags["staging"] == NEW
    assert ledger.outcomes() == ["REFUSED"]


@dataclass
class Undated(KnownImageFacts):
    """ImageFacts of a registry that does not say when one image was pushed."""

    def pushed(self, repository: Repository, image_digests: Sequence[str]) -> dict[str, datetime]:
        return {digest: at for digest, at in self.pushes.items() if digest in image_digests}


@pytest.mark.parametrize("known", [OLD, NEW])
def test_a_scan_moves_no_tag_where_the_order_is_not_known(known: Manifest) -> None:
    """Fail closed: somebody may ask for it."""
    image_facts = Undated({NEW.digest: Scan("COMPLETE")}, pushes={known.digest: NOW})
    registry = InMemoryRegistry({"build-2": NEW, "staging": OLD})

    with pytest.raises(Superseded, match="does not say"):
        promote(scan_of(NEW, "build-2"), dependencies(SCANS, registry, image_facts))
    assert registry.tags["staging"] == OLD


def test_a_scan_of_a_newer_image_moves_the_tag() -> None:
    """And a person may go back whenever they like: the order is for scans only."""
    image_facts = KnownImageFacts(
        {OLD.digest: Scan("COMPLETE"), NEW.digest: Scan("COMPLETE")},
        pushes={OLD.digest: NOW - timedelta(hours=1), NEW.digest: NOW},
    )
    registry = InMemoryRegistry({"build-1": OLD, "build-2": NEW, "staging": OLD, "prod": NEW})

    promote(scan_of(NEW, "build-2"), dependencies(SCANS, registry, image_facts))
    promote(promotion("build-1"), dependencies(ANY_TAG, registry, image_facts))

    assert (registry.tags["staging"], registry.tags["prod"]) == (NEW, OLD)


def test_a_scan_waits_for_what_passes_with_time() -> None:
    """A request for the same image is refused: somebody stands there who can come again."""
    asked = gate(findings={}, signed=True)
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")}, pushes={NEW.digest: NOW})
    registry = InMemoryRegistry({"build-1": NEW})
    rules = policy(rule(name="staging", on="scan", to=["staging"], gate=asked, **{"from": "build-.*"}))

    with pytest.raises(ScanPending):
        promote(scan_of(NEW, "build-1"), dependencies(rules, registry, image_facts))
    with pytest.raises(GateRefused):
        promote(promotion("build-1"), dependencies(policy(rule(gate=asked)), registry, image_facts))


def test_soak_begins_when_the_image_reached_the_source_tag(registry: InMemoryRegistry) -> None:
    """Where the ledger saw it; an image that was built long ago is new to staging all the same."""
    ledger = InMemoryLedger(lambda: NOW)
    image_facts = KnownImageFacts(pushes={NEW.digest: NOW - timedelta(days=30)})
    soaking = policy(rule(gate=gate(soak=24 * 3600)), rule(name="s", to=["staging"]))

    def attempt(at: datetime, **members: Any) -> Any:
        ledger.clock = lambda: at
        return promote(
            promotion(**members), dependencies(soaking, registry, image_facts, ledger=ledger, now=lambda: at)
        )

    attempt(NOW, image_tags=("staging",), promotion_id="p-0")
    with pytest.raises(GateRefused, match="2026-11-24T12:00:00Z"):
        attempt(NOW + timedelta(hours=23), source=Source(ImageId("staging")), image_tags=("prod",))

    later = attempt(
        NOW + timedelta(hours=25), source=Source(ImageId("staging")), image_tags=("prod",), promotion_id="p-2"
    )
    assert later.outcome is Outcome.PROMOTED


def test_an_operators_freeze_names_who_and_why(registry: InMemoryRegistry) -> None:
    """It is recorded, and does not stand once it is lifted."""
    ledger = InMemoryLedger(stops=[Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None, by="ann")])
    inner = dependencies(ANY_TAG, registry, ledger=ledger)

    with pytest.raises(Frozen, match=r"until it is lifted: incident 7 \(by ann\)"):
        promote(promotion(), inner)
    assert ledger.outcomes() == ["REFUSED"]

    ledger.stops.clear()
    assert promote(promotion(), inner).outcome is Outcome.PROMOTED


def test_a_dry_run_says_that_an_operator_froze_it(registry: InMemoryRegistry) -> None:
    """It tells what would happen, and leaves no record."""
    ledger = InMemoryLedger(stops=[Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None, by="ann")])

    with pytest.raises(Frozen):
        promote(promotion(dry_run=True), dependencies(ANY_TAG, registry, ledger=ledger))
    assert ledger.announced == []


def test_an_event_waits_for_the_end_of_a_freeze(registry: InMemoryRegistry) -> None:
    """Nobody is told that it was refused: it is carried out later."""
    ledger = InMemoryLedger(stops=[Freeze(NOW - timedelta(hours=1), None, "incident 7", None, None)])
    image_facts = KnownImageFacts({NEW.digest: Scan("COMPLETE")})
    frozen = dependencies(SCANS, InMemoryRegistry({"build-1": NEW}), image_facts, ledger=ledger)

    with pytest.raises(Frozen):
        promote(scan_of(NEW, "build-1"), frozen)
    assert ledger.announced == []

    ledger.stops.clear()
    assert promote(scan_of(NEW, "build-1"), frozen).outcome is Outcome.PROMOTED
