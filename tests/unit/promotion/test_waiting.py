"""Requests that wait: what they wait for, how they end, and that they end once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from promoter.domain import documents
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import NotWaiting, TagBusy, Throttled
from promoter.domain.findings import Finding, Scan
from promoter.domain.leasing import Busy, Stale
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, Promotion, Seen, Source, TagMove, Wait
from promoter.domain.policy import Policy
from promoter.domain.records import Lease, Record
from promoter.domain.rule import Freeze
from promoter.promotion import promote as use_case
from promoter.promotion import waiting
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import recover
from tests.support.ledgers import InMemoryLedger, InMemoryWaiting, dependencies
from tests.support.policies import gate, policy, rule
from tests.support.promotions import NEW, NOW, OLD, OTHER, promotion
from tests.support.registries import REPOSITORY, FailingImageFacts, InMemoryRegistry, KnownImageFacts

DAY = timedelta(days=1)
GATED = policy(
    rule(to=["prod", "canary"], gate=gate(findings={"CRITICAL": 0})), rule(name="other", to_matching=["^qa$"])
)
CLEAN, CRITICAL = Scan("COMPLETE"), Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("openssl",)),))


@dataclass
class World:
    """A repository with a source, where prod is on another image; its image is not scanned yet."""

    policy: Policy = GATED
    now: datetime = NOW
    registry: InMemoryRegistry = field(
        default_factory=lambda: InMemoryRegistry({"new": NEW, "other": OTHER, "prod": OLD})
    )
    facts: KnownImageFacts = field(
        default_factory=lambda: KnownImageFacts(pushes={image.digest: NOW for image in (OLD, NEW, OTHER)})
    )
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    lost: bool = False

    def __post_init__(self) -> None:
        self.ledger.clock = lambda: self.now

    @property
    def here(self) -> Dependencies:
        return dependencies(
            self.policy, self.registry, self.facts, ledger=self.ledger, now=lambda: self.now, pause=self._pause
        )

    def _pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def ask(self, **members: Any) -> Answer:
        """Send a request that may wait for a day."""
        wait = Wait(self.now + DAY)
        usual: dict[str, Any] = {"image_tags": ("prod",), "asked_at": self.now, "wait": wait}
        return use_case.promote(promotion(**usual | members), self.here)

    def wake(self, promotion_id: str = "p-1") -> Answer:
        """Try a promotion that waits."""
        resumed = waiting.resume(promotion_id, self.here)
        assert resumed, "it does not wait"
        return resumed[1]

    def scanned(self, image: Manifest = NEW, scan: Scan = CLEAN) -> None:
        self.facts.scans[image.digest] = scan

    def freeze(self) -> None:
        self.ledger.stops.append(Freeze(self.now, None, "incident", None, None))

    def record(self, promotion_id: str = "p-1") -> Record:
        return self.ledger.records[promotion_id]


@pytest.fixture
def world() -> World:
    return World()


def code_of(answer: Answer) -> str | None:
    return answer.error.code if isinstance(answer, NotPromoted) else None


def waits_for(answer: Answer) -> tuple[str, ...]:
    assert isinstance(answer, Waiting), answer
    return answer.record.waiting_for


def test_a_request_waits_for_a_scan_and_is_promoted_when_it_is_done(world: World) -> None:
    """Nothing moves before; then it ends as if it had not waited."""
    assert waits_for(world.ask()) == ("scan_pending",)
    assert world.registry.puts == []

    world.scanned()
    answer = world.wake()

    assert isinstance(answer, Promoted)
    assert world.registry.tags["prod"] == NEW
    assert [move.previous_digest for move in answer.moves] == [OLD.digest]
    assert world.ledger.outcomes() == ["PROMOTED"]
    assert waiting.resume("p-1", world.here) is None


def test_a_request_without_wait_is_refused_as_ever(world: World) -> None:
    """Nobody waits who has not asked for it, and nothing is recorded."""
    assert code_of(world.ask(wait=None)) == "scan_pending"
    assert world.ledger.records == {}


def test_a_request_that_can_be_carried_out_does_not_wait(world: World) -> None:
    """It costs no call more than one without wait."""
    world.scanned()
    world.ask()
    waited, world.ledger.calls[:] = list(world.ledger.calls), []
    other = World()
    other.scanned()
    other.ask(wait=None)

    assert world.registry.tags["prod"] == NEW
    assert waited == other.ledger.calls


def test_what_does_not_pass_with_time_is_refused_at_once(world: World) -> None:
    """Even where something else would pass: a freeze does not hide a critical finding."""
    world.scanned(NEW, CRITICAL)
    world.freeze()

    assert code_of(world.ask()) == "gate_refused"
    assert world.ledger.outcomes() == ["REFUSED"]


def test_everything_that_passes_with_time_is_waited_for_together() -> None:
    """A freeze, a scan, a signature, soak time."""
    demanding = gate(findings={"CRITICAL": 0}, signed=True, soak=3600)
    world = World(policy(rule(to=["prod"], gate=demanding)))
    world.freeze()

    assert waits_for(world.ask()) == ("frozen", "scan_pending", "unsigned", "soaking")

    world.ledger.stops.clear()
    world.scanned()
    assert waits_for(world.wake()) == ("unsigned", "soaking")
    world.facts.signatures.add(NEW.digest)
    assert waits_for(world.wake()) == ("soaking",)
    world.now += timedelta(hours=1)
    assert isinstance(world.wake(), Promoted)


def test_a_freeze_is_judged_again_when_the_time_comes(world: World) -> None:
    """One that was set meanwhile holds too."""
    world.ask()
    world.scanned()
    world.freeze()

    assert waits_for(world.wake()) == ("frozen",)
    assert world.registry.puts == []


def test_the_rule_and_its_callers_are_judged_again(world: World) -> None:
    """A policy that was deployed meanwhile decides."""
    world.ask(caller="arn:aws:iam::123456789012:user/ci")
    world.scanned()
    world.policy = policy(rule(to=["prod"], callers=["arn:aws:iam::123456789012:user/other"]))

    assert code_of(world.wake()) == "not_allowed"
    assert world.ledger.outcomes() == ["REFUSED"]


def test_a_finding_that_came_to_light_refuses(world: World) -> None:
    """The reasons name it."""
    world.ask()
    world.scanned(NEW, CRITICAL)

    answer = world.wake()

    assert code_of(answer) == "gate_refused"
    assert [reason.vulnerability for reason in world.record().reasons] == ["CVE-1"]


def test_the_digest_is_that_of_the_acceptance(world: World) -> None:
    """The source tag may move meanwhile: what was accepted is promoted."""
    world.ask()
    world.registry.tags["new"] = OTHER
    world.registry.untagged.append(NEW)
    world.scanned()

    world.wake()

    assert world.registry.tags["prod"] == NEW


def test_a_source_that_was_deleted_ends_it(world: World) -> None:
    """There is nothing to promote."""
    world.ask()
    del world.registry.tags["new"]
    world.scanned()

    assert code_of(world.wake()) == "source_not_found"


def test_a_move_by_another_promotion_supersedes_it(world: World) -> None:
    """A promotion that did not wait is newer than what was accepted before it."""
    world.ask()
    world.scanned()
    world.scanned(OTHER)
    assert isinstance(world.ask(promotion_id="p-2", source=Source(ImageId("other")), wait=None), Promoted)

    assert code_of(world.wake()) == "superseded"
    assert world.registry.tags["prod"] == OTHER


def test_a_move_there_and_back_supersedes_it_too(world: World) -> None:
    """The digest is the same, but the tag has moved."""
    world.ask()
    world.scanned()
    world.scanned(OTHER)
    world.ask(promotion_id="p-2", source=Source(ImageId("other")), wait=None)
    world.registry.untagged.append(OLD)
    back = Source(ImageId(image_digest=OLD.digest))
    world.scanned(OLD)
    world.ask(promotion_id="p-3", source=back, wait=None)
    assert world.registry.tags["prod"] == OLD

    assert code_of(world.wake()) == "superseded"


def test_a_push_beside_the_service_supersedes_it(world: World) -> None:
    """The registry's own digest counts as well as the ledger."""
    world.ask()
    world.scanned()
    world.registry.tags["prod"] = OTHER

    assert code_of(world.wake()) == "superseded"


def test_a_newer_request_that_waits_supersedes_the_older(world: World) -> None:
    """The same rule and tag. The older ends when it is tried; the newer one is carried out."""
    world.ask()
    world.ask(promotion_id="p-2", source=Source(ImageId("other")))
    world.scanned()
    world.scanned(OTHER)

    assert code_of(world.wake("p-1")) == "superseded"
    assert isinstance(world.wake("p-2"), Promoted)
    assert world.registry.tags["prod"] == OTHER


def test_a_request_that_was_held_up_does_not_supersede_a_newer_one(world: World) -> None:
    """It was asked for first, and comes to be accepted second."""
    world.ask(promotion_id="p-2", source=Source(ImageId("other")))

    assert code_of(world.ask(promotion_id="p-1", asked_at=NOW - timedelta(seconds=9))) == "superseded"

    world.scanned(OTHER)
    assert isinstance(world.wake("p-2"), Promoted)
    assert world.registry.tags["prod"] == OTHER


def test_a_request_for_another_tag_supersedes_nothing(world: World) -> None:
    """Prod and canary are two."""
    world.ask()
    world.ask(promotion_id="p-2", source=Source(ImageId("other")), image_tags=("canary",))
    world.scanned()
    world.scanned(OTHER)

    assert isinstance(world.wake("p-1"), Promoted)
    assert isinstance(world.wake("p-2"), Promoted)


def test_expected_digests_hold_across_the_wait(world: World) -> None:
    """They are judged when it is accepted and when its time comes."""
    assert code_of(world.ask(expected_digests={"prod": OTHER.digest})) == "tag_changed"

    assert waits_for(world.ask(promotion_id="p-2", expected_digests={"prod": OLD.digest})) == ("scan_pending",)
    assert world.record("p-2").wait == Wait(NOW + DAY, {"prod": Seen(OLD.digest, 0)}, {"prod": OLD.digest})


def test_a_tag_that_is_there_already_needs_no_move(world: World) -> None:
    """Somebody else put it on the same image."""
    world.ask()
    world.scanned()
    world.registry.tags["prod"] = NEW

    assert world.wake().outcome is Outcome.UNCHANGED


def test_it_expires(world: World) -> None:
    """Recorded with what it has waited for; before that it is tried."""
    world.scanned(NEW, Scan("IN_PROGRESS"))
    world.ask()
    world.now += DAY - timedelta(seconds=1)
    assert waits_for(world.wake()) == ("scan_pending",)
    world.now += timedelta(seconds=1)
    world.scanned()

    answer = world.wake()

    assert code_of(answer) == "expired"
    assert [reason.code for reason in world.record().reasons] == ["scan_pending"]
    assert world.registry.puts == []


@dataclass
class SlowImageFacts(KnownImageFacts):
    """Facts that take their time."""

    takes: Callable[[], None] = lambda: None

    def scan(self, repository: Any, image_digest: str) -> Scan:
        self.takes()
        return super().scan(repository, image_digest)


def test_one_whose_time_ends_while_it_is_judged_moves_nothing(world: World) -> None:
    """From that moment on everybody reads that it has expired."""
    world.ask()
    world.now += DAY - timedelta(seconds=1)
    world.facts = SlowImageFacts({NEW.digest: CLEAN}, takes=lambda: world._pause(5))

    assert code_of(world.wake()) == "expired"
    assert world.registry.puts == []
    assert world.ledger.outcomes() == ["REFUSED"]


def test_one_whose_time_ends_while_it_is_accepted_is_run_once(world: World) -> None:
    """A repeat runs again what has waited in vain, but a request is no repeat of itself."""
    world.facts = SlowImageFacts(pushes={NEW.digest: NOW}, takes=lambda: world._pause(5))

    answer = world.ask(wait=Wait(world.now + timedelta(seconds=1)))

    assert code_of(answer) == "expired"
    assert world.ledger.outcomes() == ["REFUSED"]


def test_a_cancelled_one_moves_nothing(world: World) -> None:
    """However late its event comes. To repeat it is not an error."""
    world.ask()

    record = waiting.cancel(world.record(), "arn:aws:iam::123456789012:user/ci", world.here)
    again = waiting.cancel(record, None, world.here)

    assert (record.outcome, record.code) == (Outcome.REFUSED, "cancelled")
    assert again == record
    assert waiting.resume("p-1", world.here) is None


def test_one_that_is_moving_tags_cannot_be_cancelled(world: World) -> None:
    """It may be over in a moment."""
    world.ask()
    world.scanned()
    record = world.record()
    world.ledger.records["p-1"] = replace(record, outcome=None)

    with pytest.raises(TagBusy):
        waiting.cancel(world.record(), None, world.here)


def test_one_that_has_ended_cannot_be_cancelled(world: World) -> None:
    """The answer says how it ended."""
    world.scanned()
    world.ask()

    with pytest.raises(NotWaiting, match="PROMOTED"):
        waiting.cancel(world.record(), None, world.here)


@pytest.mark.parametrize("again", [{}, {"wait": None}])
def test_a_repeat_under_the_same_key_finds_it_waiting(world: World, again: dict[str, Any]) -> None:
    """With or without wait; it is accepted once, and waits for as long as it was asked to at first."""
    world.ask(fingerprint="f")
    until = world.record().wait
    world.now += timedelta(hours=1)

    answer = world.ask(fingerprint="f", **again)

    assert waits_for(answer) == ("scan_pending",)
    assert answer.repeated
    assert world.record().wait == until


def test_a_repeat_carries_on_what_was_accepted(world: World) -> None:
    """Not what the source tag is on by now."""
    world.ask(fingerprint="f")
    world.registry.tags["new"] = OTHER
    world.registry.untagged.append(NEW)
    world.scanned()
    world.scanned(OTHER)

    world.ask(fingerprint="f")

    assert world.registry.tags["prod"] == NEW
    assert world.ledger.outcomes() == ["PROMOTED"]


@pytest.mark.parametrize("how", ["expired", "cancelled"])
def test_what_has_waited_in_vain_does_not_stand_under_its_key(world: World, how: str) -> None:
    """The same key runs the promotion again, and it waits again."""
    world.scanned(NEW, Scan("IN_PROGRESS"))
    world.ask(fingerprint="f")
    if how == "cancelled":
        waiting.cancel(world.record(), None, world.here)
    else:
        world.now += DAY

    answer = world.ask(fingerprint="f")

    assert waits_for(answer) == ("scan_pending",)
    assert [(record.outcome, record.code) for record in world.ledger.announced] == [("REFUSED", how)]
    world.scanned()
    assert isinstance(world.wake(), Promoted)


def test_a_manifest_that_came_along_waits_too(world: World) -> None:
    """It is not in the registry, so the table has it."""
    signed = World(policy(rule(to=["prod"])))
    signed.freeze()
    signed.ask(source=Source(manifest=NEW))
    signed.ledger.stops.clear()

    signed.wake()

    assert signed.registry.tags["prod"] == NEW


def test_a_throttled_look_at_the_findings_is_waited_for(world: World) -> None:
    """The tags and the digest are known by then."""
    world.facts = FailingImageFacts(failure=Throttled("slow down"))
    assert waits_for(world.ask()) == ("throttled",)

    world.facts = KnownImageFacts({NEW.digest: CLEAN})
    assert isinstance(world.wake(), Promoted)


@dataclass
class ThrottlingRegistry(InMemoryRegistry):
    """A registry that throttles the puts of some tags."""

    throttled: set[str] = field(default_factory=set)

    def put(self, repository: Any, manifest: Manifest, image_tag: str) -> bool:
        if image_tag in self.throttled:
            raise Throttled("slow down")
        return super().put(repository, manifest, image_tag)


def test_a_throttled_put_is_waited_for(world: World) -> None:
    """What was put stays put and is recorded; the rest is put later, and the record has all of it."""
    world.scanned()
    world.registry = ThrottlingRegistry({"new": NEW, "prod": OLD, "canary": OLD}, throttled={"canary"})

    assert waits_for(world.ask(image_tags=("prod", "canary"))) == ("throttled",)
    assert (world.registry.tags["prod"], world.registry.tags["canary"]) == (NEW, OLD)
    world.registry.throttled.clear()
    answer = world.wake()

    assert [(move.image_tag, move.outcome, move.previous_digest) for move in answer.moves] == [
        ("prod", "PROMOTED", OLD.digest),
        ("canary", "PROMOTED", OLD.digest),
    ]
    assert world.ledger.outcomes() == ["PROMOTED"]


def test_a_manifest_that_came_along_waits_after_its_lease_too(world: World) -> None:
    """Nothing was in its way but the registry, so that it had not been accepted to wait."""
    world.policy = policy(rule(to=["prod"]))
    world.registry = ThrottlingRegistry({"prod": OLD}, throttled={"prod"})
    assert waits_for(world.ask(source=Source(manifest=NEW))) == ("throttled",)

    world.registry.throttled.clear()

    assert isinstance(world.wake(), Promoted)
    assert world.registry.tags["prod"] == NEW


def test_a_manifest_that_died_with_its_function_does_not_wait(world: World) -> None:
    """Nobody has it any longer but its requester, whose key runs the promotion again."""
    came = promotion(source=Source(manifest=NEW), image_tags=("prod",), wait=Wait(world.now + DAY))
    intent = replace(documents.opened(came, rule="release"), moves=(TagMove("prod", Outcome.PLANNED, OLD.digest),))
    assert isinstance(world.ledger.begin(intent, {"prod": OLD.digest}, {}), Lease)
    world.now += timedelta(minutes=1)

    recover("p-1", world.here)

    assert (world.record().outcome, world.record().code) == ("FAILED", "interrupted")


def test_a_tag_that_another_promotion_moves_is_waited_for(world: World) -> None:
    """What that one does comes before, whatever it is: the request is the newer of the two."""
    world.scanned()
    world.scanned(OTHER)
    other = promotion(promotion_id="p-0", source=Source(ImageId("other")), image_tags=("prod",))
    lease = world.ledger.begin(record_of(other, OTHER), {"prod": OLD.digest}, {})
    assert not isinstance(lease, tuple)
    world.ledger.lease_duration = DAY
    world.ledger.held = {tag: replace(each, until=NOW + DAY) for tag, each in world.ledger.held.items()}

    assert waits_for(world.ask()) == ("tag_busy",)
    world.registry.tags["prod"] = OTHER
    moves = tuple(replace(move, outcome=Outcome.PROMOTED) for move in lease.record.moves)
    world.ledger.finish(lease, replace(lease.record, outcome=Outcome.PROMOTED, moves=moves, ended_at=world.now))

    assert isinstance(world.wake(), Promoted)
    assert world.registry.tags["prod"] == NEW


def test_a_tag_that_many_promotions_move_is_waited_for_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """API Gateway answers 504 after half a minute. The request is told before that, that it was not accepted."""
    world.scanned()
    begun = Busy("Another promotion is moving the tag. Retry.")
    monkeypatch.setattr(InMemoryLedger, "begin", lambda *_: begun)
    monkeypatch.setattr(InMemoryWaiting, "accept", lambda *_: Stale({"prod": 1}))  # the next one has its lease

    assert code_of(world.ask()) == "tag_busy"

    assert world.now - NOW < world.here.patience + timedelta(seconds=5)


def record_of(asked: Promotion, image: Manifest) -> Record:
    """Return the record of a promotion that is about to move prod."""
    moves = (TagMove("prod", Outcome.PLANNED, OLD.digest),)
    return replace(documents.opened(asked), image_digest=image.digest, image_tags=("prod",), moves=moves)


def test_the_image_must_soak_where_its_source_tag_points() -> None:
    """If the source tag moves on meanwhile, the image has not soaked there."""
    soaked = policy(
        rule(name="staging", to=["staging"]),
        rule(**{"name": "prod", "from": "^staging$"}, to=["prod"], gate=gate(soak=3600)),
    )
    world = World(soaked)
    world.ask(promotion_id="p-0", image_tags=("staging",), wait=None)
    assert waits_for(world.ask(source=Source(ImageId("staging")))) == ("soaking",)
    world.ask(promotion_id="p-2", source=Source(ImageId("other")), image_tags=("staging",), wait=None)
    world.now += timedelta(hours=2)

    assert code_of(world.wake()) == "superseded"


def test_a_rollback_waits_for_the_end_of_a_freeze(world: World) -> None:
    """And puts back what it was accepted with."""
    world.scanned()
    world.ask(wait=None)
    world.registry.untagged.append(OLD)
    world.freeze()
    back = {
        "promotion_id": "p-2",
        "source": Source(ImageId(image_digest=OLD.digest)),
        "undoes": "p-1",
        "rule": "prod-by-pipeline",
        "images": {"prod": OLD.digest},
        "expected_digests": {"prod": NEW.digest},
    }
    assert waits_for(world.ask(**back)) == ("frozen",)
    world.ledger.stops.clear()

    assert isinstance(world.wake("p-2"), Promoted)
    assert world.registry.tags["prod"] == OLD
    assert world.ledger.records["p-2"].undone == {"prod": NEW.digest}


def test_an_event_that_came_while_it_was_accepted_is_not_missed(world: World) -> None:
    """After what wakes it is written, it is tried once more."""
    here = world.here
    add = here.wake_ups.add

    def scan_meanwhile(*members: Any) -> bool:
        world.scanned()
        return add(*members)

    here.wake_ups.add = scan_meanwhile  # type: ignore[method-assign,assignment]
    asked = promotion(image_tags=("prod",), asked_at=NOW, wait=Wait(NOW + DAY))

    assert isinstance(use_case.promote(asked, here), Promoted)


def test_the_events_of_all_its_scans_wake_it(world: World) -> None:
    """By the digest of each image whose scan is pending."""
    here = world.here
    use_case.promote(promotion(image_tags=("prod",), asked_at=NOW, wait=Wait(NOW + DAY)), here)

    assert [each.promotion_id for each in here.wake_ups.of(REPOSITORY, NEW.digest)] == ["p-1"]
