"""Long walks: promotions, scans, rollbacks of rollbacks, overrides, crashes, failures, hands, a restored table.

Scans wait for the end of a freeze; tests/adapters/waiting_walks.py has requests that wait.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from local.aws import LocalAws
from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.table import INDEX, Table
from promoter.domain import rollback
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import (
    Frozen,
    PromoterError,
    RegistryError,
    Superseded,
    TagChanged,
    TagImmutable,
    Throttled,
)
from promoter.domain.model import (
    ImageId,
    Manifest,
    Outcome,
    Promoted,
    Promotion,
    Repository,
    Source,
    TagMove,
    Trigger,
)
from promoter.domain.rule import Freeze
from promoter.domain.waiting import LONGEST, LONGEST_PAUSE
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.promote import promote
from tests.adapters.conftest import new_table
from tests.adapters.interleavings import IMAGES, TAGS
from tests.adapters.killing import POINTS, Killed, mortal
from tests.adapters.test_crashes import reconcile
from tests.adapters.test_ledger import Clock
from tests.support.ledgers import dependencies
from tests.support.policies import ACCOUNT, policy
from tests.support.policies import rule as policy_rule
from tests.support.registries import InMemoryRegistry, KnownImageFacts
from tests.support.tables import dynamo_roles

PUSHED = datetime(2026, 11, 1, tzinfo=UTC)
POLICY = policy(
    policy_rule(to_matching=[".*"]),
    *(policy_rule(name=f"scan-{tag}", on="scan", to=[tag], **{"from": "image-.*"}) for tag in TAGS),
)
FINDINGS = KnownImageFacts(pushes={image.digest: PUSHED for image in IMAGES.values()})
OPERATOR = "ann"
MOODS = ("throttled", "immutable", "down", "lost", "done but lost")
PASSING = {"tag_busy", "throttled", "registry_error", "tag_immutable", "source_not_found", "interrupted"}
NOT_BEGUN = {"frozen", "gate_refused", "not_allowed", "source_not_found", "superseded", "tag_changed"}
"""Codes of attempts that end before their lease: their records hold the moves of the attempt before."""
LEASE = timedelta(seconds=30)
GRACE = timedelta(seconds=31)


@dataclass
class Moody(InMemoryRegistry):
    """A registry that fails at the put of one tag, before or after it is carried out, once or for good."""

    mood: tuple[str, str, int] | None = None

    def put(self, repository: Repository, manifest: Manifest, image_tag: str) -> bool:
        if self.mood and self.mood[0] == image_tag and self.mood[2]:
            self.mood = (*self.mood[:2], self.mood[2] - 1)
            how = self.mood[1]
            if how == "throttled":
                raise Throttled("slow down")
            if how == "immutable":
                raise TagImmutable("immutable")
            if how == "done but lost":
                super().put(repository, manifest, image_tag)
            raise RegistryError(how, unanswered=how != "down")
        return super().put(repository, manifest, image_tag)


@dataclass
class Stage:
    """One run, in a table of its own."""

    table: Table
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))
    place: Repository = field(default_factory=lambda: Repository(ACCOUNT, "team/web"))
    registry: Moody = field(default_factory=lambda: Moody(dict(IMAGES), longest_put=timedelta(seconds=5)))

    def dependencies(self) -> Dependencies:
        made = dependencies(POLICY, self.registry, FINDINGS, operators=(OPERATOR,), now=self.clock)
        return replace(made, pause=self.wait, **dynamo_roles(self.table, self.clock, lease_duration=LEASE))

    def wait(self, _: float) -> None:
        self.clock.time += timedelta(seconds=1)

    @property
    def history(self) -> DynamoHistory:
        return DynamoHistory(self.table)


class Walk:
    """What operators, pipelines, scans, people and crashes do to two tags; `number` decides on the order.

    `by_hand` holds the digests at which the tags may be without the ledger's knowledge.
    """

    def __init__(self, stage: Stage, number: int) -> None:
        self.at = stage
        self.dice = random.Random(number)
        self.frozen = False
        self.sent: list[Promotion] = []
        self.by_hand: dict[str, set[str | None]] = {tag: set() for tag in TAGS}

    def take(self, steps: int) -> None:
        """Take so many steps. Raises AssertionError where something does not hold after one."""
        actions = {
            self.promotes: 20, self.scans: 8, self.rolls_back: 15, self.sends_again: 18, self.somebody_moves_it: 4,
            self.registry_fails: 4, self.registry_recovers: 4, self.freezes: 2, self.time_passes: 12,
            self.reconciles: 3, self.loses_a_record: 1,
        }  # fmt: skip
        for action in self.dice.choices(list(actions), list(actions.values()), k=steps):
            action()
            self.check()
        self.put_right()

    def send(self, promotion: Promotion, *, may_die: bool = False) -> Answer | None:
        """Carry out; None: it was killed on the way. What the answer says has to be true."""
        before, here = dict(self.at.registry.tags), self.at.dependencies()
        self.sent.append(promotion)
        if may_die and self.dice.random() < 0.4:
            point = self.dice.choice(POINTS)
            ports: Any = mortal({"registry": self.at.registry, "ledger": here.ledger}, point)
            here = replace(here, **ports)
        try:
            answer = promote(promotion, here)
        except Killed:
            return None
        if isinstance(answer, NotPromoted):
            self.check_refusal(promotion, answer.error, before)
            return answer
        if isinstance(answer, Waiting):
            assert promotion.trigger is Trigger.SCAN
            assert not self.frozen or self.at.registry.tags == before
            return answer
        if not answer.repeated:
            assert not self.frozen or promotion.override
            assert all(self.at.registry.tags[move.image_tag] == answer.manifest_of(move) for move in answer.moves)
        return answer

    def check_refusal(self, promotion: Promotion, error: PromoterError, before: dict[str, Manifest]) -> None:
        """A refusal has its reason, and has moved nothing."""
        refusals: dict[type[PromoterError], bool] = {
            Frozen: self.frozen and promotion.trigger is Trigger.REQUEST,
            TagChanged: promotion.undoes is not None,
            Superseded: promotion.trigger is Trigger.SCAN,
        }
        if type(error) in refusals:
            assert refusals[type(error)], error
            assert self.at.registry.tags == before
        else:
            assert error.code in PASSING, error

    def promotes(self) -> None:
        self.send(self.promotion(self.image(), self.tags()), may_die=True)

    def promotion(self, image: str, tags: tuple[str, ...]) -> Promotion:
        source, name = Source(ImageId(image)), uuid.uuid4().hex
        return Promotion(name, Trigger.REQUEST, self.at.place, source, tags, fingerprint=name)

    def scans(self) -> None:
        image, (tag, *_) = self.image(), self.tags()
        source = Source(ImageId(image, IMAGES[image].digest))
        scan = Promotion(uuid.uuid4().hex, Trigger.SCAN, self.at.place, source, rule=f"scan-{tag}")
        self.send(scan, may_die=True)

    def rolls_back(self) -> None:
        """Of one of the last promotions, which may be a rollback itself; only from where that had put the tags."""
        if not self.sent:
            return
        override, name = self.dice.choice([None, None, "bad"]), uuid.uuid4().hex
        of = self.dice.choice(self.sent[-3:]).promotion_id
        undo = rollback.Undo(name, OPERATOR, self.dice.choice([None, None, self.tags()]), name, override)
        try:
            promotion = rollback.promotion(self.at.history.promotion(of), undo)
        except PromoterError:  # there is nothing to take back, or it is not known yet
            return
        before = dict(self.at.registry.tags)
        answer = self.send(promotion, may_die=True)
        if isinstance(answer, Promoted):
            for tag, image in promotion.images.items():
                assert self.at.registry.tags[tag].digest == image
                assert before[tag].digest in (promotion.expected_digests[tag], image)

    def sends_again(self) -> None:
        if self.sent:
            self.send(self.dice.choice(self.sent[-4:]), may_die=True)

    def somebody_moves_it(self) -> None:
        for tag in self.tags():
            if self.dice.random() < 0.2:
                self.at.registry.tags.pop(tag, None)
            else:
                self.at.registry.tags[tag] = IMAGES[self.image()]
        self.note_hands()

    def note_hands(self) -> None:
        for tag, digests in self.by_hand.items():
            digests.add(self.found(tag))

    def registry_fails(self) -> None:
        self.at.registry.mood = (self.dice.choice(TAGS), self.dice.choice(MOODS), self.dice.choice([1, 100]))

    def registry_recovers(self) -> None:
        self.at.registry.mood = None

    def freezes(self) -> None:
        self.freeze(on=self.dice.random() < 0.35)

    def freeze(self, *, on: bool) -> None:
        stop = Freeze(self.at.clock.time, None, "stop", None, (self.at.place.name,), by="me")
        store = DynamoFreezes(self.at.table)
        if on:
            store.put(stop)
        else:
            store.lift(stop)
        self.frozen = on

    def time_passes(self) -> None:
        self.at.clock.time += LEASE + timedelta(seconds=1)

    def reconciles(self) -> None:
        reconcile(self.at.dependencies())

    def loses_a_record(self) -> None:
        """A restored table: what the promotion has put is as if somebody had put it by hand."""
        for item in self.open()[:1]:
            self.at.table.delete({"pk": item["pk"], "sk": item["sk"]}, "the test")
            self.note_hands()

    def image(self) -> str:
        return self.dice.choice(sorted(IMAGES))

    def tags(self) -> tuple[str, ...]:
        return self.dice.choice([TAGS, TAGS, TAGS[:1], TAGS[1:]])

    def found(self, tag: str) -> str | None:
        image = self.at.registry.tags.get(tag)
        return image.digest if image else None

    def open(self) -> list[Any]:
        """Return the items of promotions under way."""
        found = self.at.table.query(
            "the test",
            IndexName=INDEX,
            KeyConditionExpression="listing = :open",
            ExpressionAttributeValues={":open": {"S": keys.OPEN}},
        )
        return list(found["Items"])

    def check(self) -> None:
        """Each move begins where the one before ended, the head is the last, no scan puts what was rolled back."""
        heads = {head.image_tag: head for head in self.at.history.heads(self.at.place).entries}
        for tag, by_hand in self.by_hand.items():
            at = self.follow(tag, by_hand)
            if at is not None:
                assert heads[tag].image_digest in {at, *by_hand}
            if at is not None and not self.open():
                assert self.found(tag) in {at, *by_hand}

    def follow(self, tag: str, by_hand: set[str | None]) -> str | None:
        """Follow the tag's history; return where it ends."""
        undone = {promotion.promotion_id: promotion.expected_digests for promotion in self.sent}
        at, seen, rolled_back = None, set[tuple[str, TagMove]](), set[str | None]()
        entries = self.at.history.promotions(self.at.place, image_tag=tag, limit=100).entries
        for entry in reversed(entries):
            for move in entry.moves:
                if move.image_tag != tag:
                    continue
                known = (entry.promotion_id, move) in seen
                if known and (entry.code in NOT_BEGUN or move.previous_digest != at):
                    continue  # what an attempt before has put, told again
                seen.add((entry.promotion_id, move))
                digest = entry.digest_of(move)
                if entry.undoes:
                    rolled_back.add(undone[entry.promotion_id][tag])
                if move.outcome is Outcome.UNCHANGED:
                    assert move.previous_digest == digest
                    continue
                assert at is None or move.previous_digest in {at, *by_hand}
                assert entry.trigger is Trigger.REQUEST or digest not in rolled_back
                rolled_back.discard(digest)
                at = digest
        return at

    def put_right(self) -> None:
        """In the end no lease is held, nothing waits, and the next promotion of both tags goes through."""
        self.freeze(on=False)
        self.registry_recovers()
        for passing in (LEASE, LONGEST_PAUSE):
            self.at.clock.time += passing + timedelta(seconds=1)
            self.reconciles()
        assert self.open() == []
        assert list(self.at.dependencies().waiting.due(self.at.clock() + LONGEST)) == []
        self.check()
        assert isinstance(self.send(self.promotion(self.image(), TAGS)), Promoted)
        self.check()


def walk(local_aws: LocalAws, number: int, *, steps: int) -> None:
    """Take a walk in a table of its own. Raises AssertionError, with the number, where something does not hold."""
    try:
        table = Table(local_aws.client("dynamodb"), new_table(local_aws), local_aws.region)
        Walk(Stage(table), number).take(steps)
    except AssertionError as error:
        raise AssertionError(f"walk {number} of {steps} steps: {error}") from error
