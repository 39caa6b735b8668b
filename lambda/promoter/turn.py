"""A turn: the tags that have to move are taken, put one after the other, and given back with the record."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from promoter import records
from promoter.answers import replay
from promoter.checks import Look
from promoter.errors import PromoterError, RegistryError, Throttled
from promoter.model import ImageId, Manifest, Outcome, Promoted, Promotion, Record, TagMove, Turn
from promoter.world import PATIENCE, World


@dataclass
class Course:
    """What a promotion learns on its way: heads of the ledger that are out of date, a gate it passed, its past."""

    versions: Mapping[str, int] = field(default_factory=dict)
    passed: str | None = None
    earlier: Record | None = None


def take_turn(wish: Promotion, look: Look, course: Course, world: World) -> Promoted:
    """Take the turn of the tags that have to move, put them, and record how it ended.

    What an earlier try has put stays in the record. Where it cannot be told whether a tag was put, the turn is
    left to be settled when its time is over.
    """
    manifest, heads = look.manifest, look.heads
    planned = tuple(TagMove(tag, Outcome.PLANNED, head) for tag, head in heads.items() if head != manifest.digest)
    intent = replace(
        records.opened(wish, rule=look.rule.name),
        image_digest=manifest.digest,
        media_type=manifest.media_type,
        image_tags=tuple(heads),
        moves=(*look.carried.values(), *planned),
    )
    seen = {move.image_tag: move.previous_digest for move in planned}
    begun = world.ledger.begin(intent, seen, course.versions, course.earlier)
    if isinstance(begun, Record):
        return replay(begun, world)
    answer = put_all(wish, look, world)
    if not (isinstance(answer, PromoterError) and answer.unsettled):
        finish(begun, answer, world)
    if isinstance(answer, PromoterError):
        raise answer
    return answer


def put_all(wish: Promotion, look: Look, world: World) -> Promoted | PromoterError:
    """Put the tags one by one; return the answer, or the failure that stopped it with the moves before."""
    moves: list[TagMove] = []
    deadline = world.now() + PATIENCE
    for tag, head in look.heads.items():
        try:
            moves.append(look.carried.get(tag) or move(wish, look.manifest, tag, head, deadline, world))
        except PromoterError as error:
            error.moves, error.image_digest = tuple(moves), look.manifest.digest
            return error
    return Promoted(wish.promotion_id, look.rule.name, wish.repository, look.manifest, tuple(moves))


def move(
    wish: Promotion, manifest: Manifest, tag: str, head: str | None, deadline: datetime, world: World
) -> TagMove:
    """Put one tag, unless it is there already. Where the answer was lost, the tag itself tells what happened."""
    if head == manifest.digest:
        return TagMove(tag, Outcome.UNCHANGED, head)
    try:
        if put(wish, manifest, tag, deadline, world):
            return TagMove(tag, Outcome.PROMOTED, head)
    except (RegistryError, Throttled) as error:
        if not is_at(wish, tag, manifest, error, world):
            raise
        return TagMove(tag, Outcome.PROMOTED, head)
    return TagMove(tag, Outcome.UNCHANGED, manifest.digest)  # somebody else put it since the read


def put(wish: Promotion, manifest: Manifest, tag: str, deadline: datetime, world: World) -> bool:
    """Put one tag; while the registry throttles, wait, for as long as there is time.

    PutImage has a quota of 10 a second for the account and Region, pushes included (Amazon ECR service quotas), so
    a burst of events has to wait for each other. The pauses differ, or all would come again at once.
    """
    again = False
    while True:
        try:
            return world.registry.put(wish.repository, manifest, tag) or again
        except Throttled:  # maybe after a call whose answer was lost: then it is there at the next try
            if world.now() > deadline:
                raise
            again = True
            world.pause(random.uniform(0.2, 1.0))  # noqa: S311 - as above


def is_at(wish: Promotion, tag: str, manifest: Manifest, error: PromoterError, world: World) -> bool:
    """Say whether the tag is there after an error that leaves it open; raise it, unsettled, if nobody knows.

    A call without an answer may still be on its way: that the tag is not there yet proves nothing.
    """
    tag_id = ImageId(image_tag=tag)
    try:
        answer = world.registry.read(wish.repository, [tag_id])[tag_id]
    except PromoterError:
        error.unsettled = True
        raise error from None
    there = isinstance(answer, Manifest) and answer.digest == manifest.digest
    error.unsettled = error.unanswered and not there
    return there


def finish(turn: Turn, answer: Promoted | PromoterError, world: World) -> None:
    """Record the end of a turn; an error of the ledger says which tags were put all the same."""
    try:
        world.ledger.finish(turn, records.ended(turn.record, answer, now=world.now()))
    except PromoterError as error:
        error.moves, error.image_digest = answer.moves, turn.record.image_digest
        raise
    if isinstance(answer, PromoterError):
        answer.recorded = True
