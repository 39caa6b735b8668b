"""Promotions, those that wait, rollbacks, freezes, crashes and reconcile in any order: what must always hold."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from local.aws import LocalAws
from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.table import Table
from promoter.domain import rollback
from promoter.domain.answers import Answer, NotPromoted, Waiting
from promoter.domain.errors import Frozen, InvalidRequest, Superseded, TagChanged
from promoter.domain.model import ImageId, Outcome, Promoted, Promotion, Repository, Source, Trigger, Wait
from promoter.domain.rule import Freeze
from promoter.domain.waiting import LONGEST, LONGEST_PAUSE
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.promote import promote
from promoter.promotion.waiting import resume
from tests.adapters.conftest import new_table
from tests.adapters.killing import POINTS, Killed, mortal
from tests.adapters.test_crashes import ANY_TAG, reconcile
from tests.adapters.test_ledger import Clock
from tests.support.ledgers import dependencies
from tests.support.policies import ACCOUNT
from tests.support.registries import InMemoryRegistry, manifest
from tests.support.tables import dynamo_roles

IMAGES = {f"image-{number}": manifest(f'{{"image": {number}}}') for number in range(4)}
TAGS = ("a", "b")
TAG_SETS = st.sets(st.sampled_from(TAGS), min_size=1).map(sorted).map(tuple)


@dataclass
class Writes:
    """Counts the calls of a client that may change a table."""

    count: int = 0

    def note(self, model: Any, **_: Any) -> None:
        self.count += model.name not in ("GetItem", "Query")


@dataclass
class Stage:
    """One run, in a table of its own."""

    table: Table
    writes: Writes
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))
    place: Repository = field(default_factory=lambda: Repository(ACCOUNT, "team/web"))
    registry: InMemoryRegistry = field(default_factory=lambda: InMemoryRegistry(dict(IMAGES)))

    def dependencies(self) -> Dependencies:
        return replace(
            dependencies(ANY_TAG, self.registry, now=self.clock), **dynamo_roles(self.table, self.clock)
        )

    @property
    def history(self) -> DynamoHistory:
        return DynamoHistory(self.table)


class Interleavings(RuleBasedStateMachine):
    """What operators, pipelines and crashes do to two tags."""

    stage: Callable[[], Stage]

    def __init__(self) -> None:
        super().__init__()
        self.at = self.stage()
        self.frozen = False
        self.promoted: list[str] = []
        self.interrupted = False
        self.crashed: Promotion | None = None
        self.waiting: list[str] = []
        self.checked: Any = None

    def promotion(self, image: str, tags: tuple[str, ...]) -> Promotion:
        return Promotion(
            promotion_id=uuid.uuid4().hex,
            trigger=Trigger.REQUEST,
            repository=self.at.place,
            source=Source(ImageId(image)),
            image_tags=tags,
            fingerprint=uuid.uuid4().hex,
        )

    def carry_out(self, promotion: Promotion, *, may_have_changed: bool = False) -> Answer:
        """Promote; a freeze, and nothing else, refuses, unless the tags `may_have_changed`. Return how it ended.

        A freeze holds back moves, not answers: a promotion that ended before gets its first answer.
        """
        before = dict(self.at.registry.tags)
        answer = promote(promotion, self.at.dependencies())
        if isinstance(answer, Promoted) and answer.repeated:
            assert self.at.registry.tags == before
            return answer
        if isinstance(answer, NotPromoted):
            changed = may_have_changed and isinstance(answer.error, TagChanged)
            assert changed or (self.frozen and isinstance(answer.error, Frozen)), answer.error
            assert self.at.registry.tags == before
            return answer
        assert isinstance(answer, Promoted)
        assert not self.frozen
        assert isinstance(answer, Promoted), f"it waits: {answer}"
        assert all(self.at.registry.tags[move.image_tag] == answer.manifest_of(move) for move in answer.moves)
        assert {move.image_tag for move in answer.moves} == set(promotion.image_tags or ())
        self.promoted.append(promotion.promotion_id)
        return answer

    @rule(image=st.sampled_from(sorted(IMAGES)), tags=TAG_SETS)
    def promote(self, image: str, tags: tuple[str, ...]) -> None:
        if not self.interrupted:
            self.carry_out(self.promotion(image, tags))

    @rule(image=st.sampled_from(sorted(IMAGES)), tags=TAG_SETS)
    def ask_to_wait(self, image: str, tags: tuple[str, ...]) -> None:
        """Only a freeze is in its way: it waits for its end, or is carried out."""
        if self.interrupted:
            return
        before, until = dict(self.at.registry.tags), self.at.clock() + timedelta(days=1)
        promotion = replace(self.promotion(image, tags), wait=Wait(until))
        answer = promote(promotion, self.at.dependencies())
        assert isinstance(answer, Waiting if self.frozen else Promoted), answer
        if self.frozen:
            assert self.at.registry.tags == before
            self.waiting.append(promotion.promotion_id)
        else:
            self.promoted.append(promotion.promotion_id)

    @rule()
    def try_what_waits(self) -> None:
        """The newest for its tags is promoted, unless a tag has moved; under a freeze it waits on."""
        before = dict(self.at.registry.tags)
        for promotion_id in () if self.interrupted else self.waiting:
            resumed = resume(promotion_id, self.at.dependencies())
            if resumed is None:
                continue
            _, answer = resumed
            if isinstance(answer, Promoted):
                self.promoted.append(promotion_id)
            elif isinstance(answer, NotPromoted):
                assert isinstance(answer.error, Superseded), answer.error
        assert not self.frozen or self.at.registry.tags == before

    @rule(image=st.sampled_from(sorted(IMAGES)), tags=TAG_SETS, point=st.sampled_from(POINTS))
    def crash(self, image: str, tags: tuple[str, ...], point: tuple[int, str]) -> None:
        living = self.at.dependencies()
        ports = mortal({"registry": self.at.registry, "ledger": living.ledger}, point)
        if self.interrupted:
            return
        promotion = self.promotion(image, tags)
        try:
            answer = promote(promotion, replace(living, **ports))
        except Killed:
            self.interrupted, self.crashed = True, promotion
        else:
            if isinstance(answer, NotPromoted):
                assert self.frozen
                assert isinstance(answer.error, Frozen)

    @rule(number=st.integers(min_value=0))
    def roll_back(self, number: int) -> None:
        if self.interrupted or not self.promoted:
            return
        record = self.at.history.promotion(self.promoted[number % len(self.promoted)])
        with suppress(InvalidRequest):
            undo = rollback.promotion(record, rollback.Undo(uuid.uuid4().hex, None, None, uuid.uuid4().hex))
            before = dict(self.at.registry.tags)
            heads = {head.image_tag: head for head in self.at.history.heads(self.at.place).entries}
            last = [heads[tag] for tag in undo.images]
            may = all(record.promotion_id in (head.promotion_id, head.undoes) for head in last)
            answer = self.carry_out(undo, may_have_changed=True)
            if isinstance(answer, NotPromoted) and isinstance(answer.error, TagChanged):
                assert not may
                assert self.at.registry.tags == before
            else:
                assert may or answer.outcome is Outcome.REFUSED

    @rule(on=st.booleans())
    def freeze(self, *, on: bool) -> None:
        stop = Freeze(self.at.clock.time, None, "stop", None, (self.at.place.name,), by="me")
        store = DynamoFreezes(self.at.table)
        if on:
            store.put(stop)
        else:
            store.lift(stop)
        self.frozen = on

    @rule()
    def try_again(self) -> None:
        """What a crash cut off is sent again, under the same id: what was put before stays in its record."""
        if self.crashed is None:
            return
        self.at.clock.time += timedelta(seconds=31)
        answer = self.carry_out(self.crashed)
        if not self.frozen or answer.outcome is Outcome.PROMOTED:
            self.interrupted, self.crashed = False, None

    @rule()
    def reconcile(self) -> None:
        if self.interrupted:
            self.at.clock.time += timedelta(seconds=31)
        reconcile(self.at.dependencies())
        self.interrupted = False

    @rule(image=st.sampled_from(sorted(IMAGES)))
    def next_after_a_while(self, image: str) -> None:
        """The next promotion that moves the tags settles what a crash left behind."""
        self.at.clock.time += timedelta(seconds=31)
        before = dict(self.at.registry.tags)
        self.carry_out(self.promotion(image, TAGS))
        if all(before.get(tag) != self.at.registry.tags.get(tag) for tag in TAGS):
            self.interrupted = False

    @invariant()
    def chains_are_unbroken(self) -> None:
        """Each recorded move of a tag begins where the one before ended, and the head is the last of them.

        A step that wrote nothing is not checked: the same would be read again.
        """
        now = self.at.writes.count, dict(self.at.registry.tags), self.interrupted
        if now == self.checked:
            return
        self.checked = now
        heads = {head.image_tag: head for head in self.at.history.heads(self.at.place).entries}
        for tag in TAGS:
            entries = self.at.history.promotions(self.at.place, image_tag=tag, limit=100).entries
            found = [
                (entry.promotion_id, entry.digest_of(move), move)
                for entry in reversed(entries)
                for move in entry.moves
                if move.image_tag == tag and move.outcome is Outcome.PROMOTED
            ]
            # A later record of the same promotion repeats what an earlier try has put, however late it comes.
            moves = [(digest, move) for _, digest, move in dict.fromkeys(found)]
            for (digest, _), (_, after) in pairwise(moves):
                assert after.previous_digest == digest
            assert (tag in heads) is bool(moves)
            if moves:
                assert heads[tag].image_digest == moves[-1][0]
            if moves and not self.interrupted:
                assert self.at.registry.tags[tag].digest == moves[-1][0]

    def teardown(self) -> None:
        """Once everything is put right, no lease is held, nothing waits, and every tag is where its head is."""
        self.freeze(on=False)
        living = self.at.dependencies()
        for passing in (timedelta(seconds=31), LONGEST_PAUSE):
            self.at.clock.time += passing + timedelta(seconds=1)
            reconcile(living)
        assert list(living.ledger.abandoned()) == []
        assert list(living.waiting.due(self.at.clock() + LONGEST)) == []
        self.interrupted = False
        self.chains_are_unbroken()


def explore(local_aws: LocalAws, number: int, *, examples: int) -> None:
    """Run so many examples, the same for the same number. Raises AssertionError where one fails."""
    client, writes = local_aws.client("dynamodb"), Writes()
    client.meta.events.register("before-call.dynamodb", writes.note)

    class Here(Interleavings):
        stage = staticmethod(lambda: Stage(Table(client, new_table(local_aws), local_aws.region), writes))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys, "SHARDS", 2)  # little waits here, and reconcile reads each listing of what waits
        run_state_machine_as_test(
            seed(number)(Here),
            settings=settings(
                max_examples=examples,
                stateful_step_count=12,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # the steps of an example are few: to look for fewer takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
