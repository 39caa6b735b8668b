"""Long walks of promotions that wait: requests and events, woken, cancelled, overtaken, killed at any call."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from local.aws import LocalAws
from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.domain import documents, rollback
from promoter.domain.answers import Answer, Waiting
from promoter.domain.errors import NotWaiting, PromoterError, PromotionNotFound, TagBusy
from promoter.domain.findings import Finding, Scan
from promoter.domain.model import (
    ImageId,
    Manifest,
    Outcome,
    Promotion,
    Repository,
    Source,
    Trigger,
    Wait,
)
from promoter.domain.rule import Freeze
from promoter.domain.waiting import LONGEST, LONGEST_PAUSE, awaited
from promoter.promotion import waiting
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.promote import promote
from tests.adapters.conftest import new_table
from tests.adapters.interleavings import IMAGES
from tests.adapters.killing import Killed, dying
from tests.adapters.test_crashes import Kept, reconcile
from tests.adapters.test_ledger import Clock
from tests.adapters.waiting_watch import Watch, Watched, put_by
from tests.adapters.walks import GRACE, LEASE, MOODS, OPERATOR, PUSHED
from tests.support.ledgers import dependencies
from tests.support.policies import ACCOUNT, gate, policy, rule
from tests.support.registries import KnownImageFacts
from tests.support.tables import dynamo_roles

TAGS = ("a", "b", "c")
GATE = gate(findings={"CRITICAL": 0})
POLICY = policy(
    rule(name="gated", to=list(TAGS), gate=GATE),
    rule(name="open", to=list(TAGS)),
    *(rule(name=f"scan-{tag}", on="scan", to=[tag], gate=GATE, **{"from": "image-.*"}) for tag in TAGS),
)
GATED = {"gated", *(f"scan-{tag}" for tag in TAGS)}
CLEAN, PENDING = Scan("COMPLETE"), Scan("IN_PROGRESS")
CRITICAL = Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("openssl",)),))
HOUR = timedelta(hours=1)


@dataclass
class Stage:
    """One run, in a table of its own; `latest` is a source tag that moves."""

    kept: Kept
    place: Repository = field(default_factory=lambda: Repository(ACCOUNT, "team/web"))
    registry: Watched = field(
        default_factory=lambda: Watched({**IMAGES, "latest": IMAGES["image-0"]}, longest_put=timedelta(seconds=5))
    )
    facts: KnownImageFacts = field(
        default_factory=lambda: KnownImageFacts(pushes={image.digest: PUSHED for image in IMAGES.values()})
    )

    def dependencies(self) -> Dependencies:
        made = dependencies(
            POLICY, self.registry, self.facts, operators=(OPERATOR,), now=self.kept.clock, pause=self.wait
        )
        return replace(made, **dynamo_roles(self.kept.table, self.kept.clock, lease_duration=LEASE))

    def wait(self, _: float) -> None:
        self.kept.clock.time += timedelta(seconds=1)

    @property
    def history(self) -> DynamoHistory:
        return self.kept.history


class WaitingWalk:
    """What pipelines, scanners, operators, people and crashes do to three tags; `number` decides on the order."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.at = stage
        self.dice = random.Random(number)
        self.watch = Watch()
        self.stop: Freeze | None = None
        self.sent: list[Promotion] = []
        self.asked: Counter[str] = Counter()
        stage.registry.watch = self.moves
        for image in IMAGES.values():
            stage.facts.scans[image.digest] = PENDING

    def take(self, steps: int) -> None:
        """Take so many steps. Raises AssertionError where something does not hold after one."""
        actions = {
            self.asks: 22, self.asks_at_once: 5, self.events: 10, self.repeats: 10, self.scan_ends: 14,
            self.is_tried: 10, self.cancels: 6, self.rolls_back: 8, self.somebody_pushes: 5,
            self.registry_fails: 4, self.registry_recovers: 4, self.freezes: 5, self.time_passes: 8,
            self.reconciles: 6,
        }  # fmt: skip
        for action in self.dice.choices(list(actions), list(actions.values()), k=steps):
            self.watch.step += 1
            action()
            self.check()
        self.put_right()

    def moves(self, image_tag: str, image: Manifest) -> None:
        """Hold a move to what must hold when it is made."""
        here = self.at.dependencies()
        holder = here.heads.positions(self.at.place, [image_tag])[image_tag].holder
        assert holder is not None, f"{image_tag} moves without a lease"
        record = self.at.history.promotion(holder)
        if not record.undoes:
            assert record.rule not in GATED or self.at.facts.scans[image.digest] is CLEAN, (
                "its gate has not passed"
            )
        assert self.stop is None, "promotions are frozen"
        self.watch.moves_tag(record, image_tag, image)

    def act(self, act: Callable[[Dependencies], Any], *, may_die: bool = True) -> Any:
        """Do something in a process of its own, which may be killed at any call; None: it was."""
        here = self.at.dependencies()
        if may_die and self.dice.random() < 0.35:
            here = dying(here, (self.dice.randrange(7), self.dice.choice(["before", "after"])))
        try:
            return act(here)
        except Killed:
            return None

    def send(self, promotion: Promotion) -> Answer | None:
        """Carry out a call of a client, or an event."""
        self.watch.begins(promotion.promotion_id)
        self.asked[promotion.promotion_id] += 1
        if promotion not in self.sent:
            self.sent.append(promotion)
        answer: Answer | None = self.act(lambda here: promote(promotion, here))
        if isinstance(answer, Waiting) and promotion.trigger is Trigger.REQUEST:
            assert promotion.wait or self.asked[promotion.promotion_id] > 1
        return answer

    def asks(self) -> None:
        until = self.at.kept.clock() + self.dice.choice([HOUR, 24 * HOUR])
        self.send(replace(self.request(self.dice.choice(["gated", "gated", "open"])), wait=Wait(until)))

    def asks_at_once(self) -> None:
        self.send(self.request(self.dice.choice(["gated", "open"])))

    def request(self, rule: str) -> Promotion:
        name, source = uuid.uuid4().hex, Source(ImageId(self.dice.choice([*IMAGES, "latest", "latest"])))
        tags = self.dice.choice([TAGS, TAGS[:2], *([tag] for tag in TAGS)])
        asked: dict[str, Any] = {"asked_at": self.at.kept.clock(), "rule": rule, "fingerprint": name}
        return Promotion(name, Trigger.REQUEST, self.at.place, source, tuple(tags), **asked)

    def events(self) -> None:
        image, tag = self.dice.choice(list(IMAGES)), self.dice.choice(TAGS)
        source = Source(ImageId(image, IMAGES[image].digest))
        asked_at = self.at.kept.clock()
        self.send(
            Promotion(uuid.uuid4().hex, Trigger.SCAN, self.at.place, source, rule=f"scan-{tag}", asked_at=asked_at)
        )

    def repeats(self) -> None:
        """A client sends its request again under its key, with or without `wait`; an event comes again."""
        if not self.sent:
            return
        promotion = self.dice.choice(self.sent[-5:])
        if promotion.trigger is Trigger.REQUEST:
            until = self.at.kept.clock() + HOUR
            promotion = replace(promotion, wait=self.dice.choice([None, Wait(until)]))
        self.send(promotion)

    def scan_ends(self) -> None:
        """The event of the scan wakes what waits for it. Sometimes the scan begins anew instead."""
        image = self.dice.choice(list(IMAGES.values()))
        self.at.facts.scans[image.digest] = self.dice.choice([CLEAN, CLEAN, CLEAN, CRITICAL, PENDING])
        for wake_up in self.at.dependencies().wake_ups.of(self.at.place, image.digest):
            self.act(partial(wake, wake_up))

    def is_tried(self) -> None:
        """One that waits comes back through the queue; also one that no longer waits."""
        if self.watch.waiting:
            name = self.dice.choice(list(self.watch.waiting))
            self.act(lambda here: waiting.resume(name, here))

    def cancels(self) -> None:
        if not self.watch.waiting:
            return
        record = self.at.history.promotion(self.dice.choice(list(self.watch.waiting)))
        before = dict(self.at.registry.tags)

        def cancel(here: Dependencies) -> None:
            with suppress(TagBusy, NotWaiting):
                waiting.cancel(record, record.caller, here)

        self.act(cancel)
        assert self.at.registry.tags == before

    def rolls_back(self) -> None:
        heads = self.at.history.heads(self.at.place).entries
        if not heads:
            return
        until, name = self.at.kept.clock() + HOUR, uuid.uuid4().hex
        of = self.dice.choice(heads).promotion_id
        wait = self.dice.choice([None, Wait(until)])
        undo = rollback.Undo(name, OPERATOR, None, name, wait=wait)
        try:
            promotion = rollback.promotion(self.at.history.promotion(of), undo)
        except PromoterError:  # there is nothing to take back, or it is not known yet
            return
        self.send(promotion)

    def somebody_pushes(self) -> None:
        tag = self.dice.choice([*TAGS, *["latest"] * 5])
        image = self.dice.choice(list(IMAGES.values()))
        if self.at.registry.tags.get(tag) != image:
            self.at.registry.tags[tag] = image
            self.watch.moved_by_hand(tag)

    def registry_fails(self) -> None:
        self.at.registry.mood = (self.dice.choice(TAGS), self.dice.choice(MOODS), self.dice.choice([1, 100]))

    def registry_recovers(self) -> None:
        self.at.registry.mood = None

    def freezes(self) -> None:
        self.lift()
        if self.dice.random() < 0.4:
            self.stop = Freeze(self.at.kept.clock.time, None, "stop", None, (self.at.place.name,), by="me")
            DynamoFreezes(self.at.kept.table).put(self.stop)

    def lift(self) -> None:
        if self.stop:
            DynamoFreezes(self.at.kept.table).lift(self.stop)
        self.stop = None

    def time_passes(self) -> None:
        self.at.kept.clock.time += self.dice.choice([GRACE, GRACE, LONGEST_PAUSE, LONGEST_PAUSE, 2 * HOUR])

    def reconciles(self) -> None:
        self.act(reconcile)

    def check(self) -> None:
        """No record is lost, and each tag's head names a promotion that says it has put the tag."""
        for name in self.asked:
            try:
                record = self.at.history.promotion(name)
            except PromotionNotFound:
                assert name not in self.watch.waiting, f"the record of {name} is lost"
                continue
            if record.outcome is Outcome.WAITING:
                assert name not in self.watch.over, f"{name} had ended and waits"
                self.watch.waits(record)
            elif (record.outcome and documents.is_final(record)) or record.code in {"cancelled", "expired"}:
                self.watch.ends(record)
        for head in self.at.history.heads(self.at.place).entries:
            record = self.at.history.promotion(head.promotion_id)
            assert put_by(record, head.image_tag), (
                f"{head.promotion_id} does not know that it put {head.image_tag}"
            )

    def put_right(self) -> None:
        """In the end nothing waits and no lease is held; each that has waited has ended once for each call."""
        self.watch.step += 1
        self.lift()
        self.registry_recovers()
        for image in IMAGES.values():
            self.at.facts.scans[image.digest] = CLEAN
        for passing in (GRACE, LONGEST_PAUSE, LONGEST_PAUSE):
            self.at.kept.clock.time += passing + timedelta(seconds=1)
            reconcile(self.at.dependencies())
            self.check()
        here = self.at.dependencies()
        assert list(here.ledger.abandoned()) == []
        assert list(here.waiting.due(self.at.kept.clock() + 2 * LONGEST)) == []
        self.check_announced()

    def check_announced(self) -> None:
        """Who has waited has ended; once, if it was asked for once. Each wait was announced once at most."""
        announced = Counter(self.at.kept.announced())
        for name in self.watch.waiting:
            ends = sum(announced[name, outcome] for outcome in ("PROMOTED", "UNCHANGED", "REFUSED", "FAILED"))
            if self.asked[name] == 1:
                assert ends == 1, f"{name} has ended {ends} times"
            is_request = self.watch.records[name].trigger is Trigger.REQUEST
            assert announced[name, "WAITING"] in (range(1, self.asked[name] + 1) if is_request else [0])


def wake(wake_up: Any, here: Dependencies) -> None:
    """Try what an event wakes, and forget the wake-up unless it is waited for still, as the service does."""
    resumed = waiting.resume(wake_up.promotion_id, here)
    if resumed and isinstance(resumed[1], Waiting) and wake_up.image_digest in awaited(resumed[1].record):
        return
    here.wake_ups.mark_served(wake_up)


def walk(local_aws: LocalAws, number: int, *, steps: int) -> None:
    """Take a walk in a table of its own. Raises AssertionError, with the number, where something does not hold."""
    kept = Kept(local_aws, new_table(local_aws), Clock(datetime.now(UTC)))
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(keys, "SHARDS", 2)  # little waits here, and reconcile reads each listing of what waits
            WaitingWalk(Stage(kept), number).take(steps)
    except AssertionError as error:
        raise AssertionError(f"waiting walk {number} of {steps} steps: {error}") from error
