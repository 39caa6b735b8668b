"""Ends promotions that were interrupted, by looking at the tags: nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from promoter import records
from promoter.errors import Interrupted, LedgerError, PromoterError, RepositoryNotFound, TagBusy
from promoter.model import ImageId, Manifest, Outcome, Promoted, Record, Repository, TagMove
from promoter.ports import Missing
from promoter.world import World


def settle_in_the_way(promotion_id: str, world: World) -> None:
    """Settle somebody else's promotion; what goes wrong with it is for the one in whose way it is to wait for."""
    try:
        settle(promotion_id, world)
    except PromoterError as error:
        raise TagBusy(f"an interrupted promotion of the tag is not settled yet: {error.detail}") from error


def settle(promotion_id: str, world: World) -> None:
    """Record how an interrupted promotion ended and free its turn; nothing is done if it has ended meanwhile."""
    turn = world.ledger.turn(promotion_id)
    if turn is None or turn.until > world.now():
        return
    record = turn.record
    planned = {move.image_tag: move for move in record.moves}
    tags = {tag: ImageId(image_tag=tag) for tag in record.image_tags}
    answers = look(world, record.repository, list(tags.values()))
    there = [tag for tag, tag_id in tags.items() if _digest(answers[tag_id]) == record.image_digest]
    moves = tuple(
        replace(planned[tag], outcome=Outcome.PROMOTED)
        if tag in planned
        else TagMove(tag, Outcome.UNCHANGED, record.image_digest)
        for tag in there
    )
    try:
        world.ledger.finish(turn, records.ended(record, _answer(record, moves), now=world.now()))
    except LedgerError:
        if world.ledger.turn(promotion_id) == turn:
            raise  # nobody else has settled it


def look(
    world: World, repository: Repository, image_ids: Sequence[ImageId]
) -> Mapping[ImageId, Manifest | Missing]:
    """Read; in a repository that was deleted meanwhile there is nothing."""
    try:
        return world.registry.read(repository, image_ids)
    except RepositoryNotFound:
        return dict.fromkeys(image_ids, Missing.NOT_FOUND)


def _answer(record: Record, moves: tuple[TagMove, ...]) -> Promoted | Interrupted:
    if len(moves) == len(record.image_tags):
        manifest = Manifest(b"", record.media_type or "", record.image_digest or "")
        return Promoted(record.promotion_id, record.rule or "", record.repository, manifest, moves)
    done = ", ".join(move.image_tag for move in moves) or "no tag"
    interrupted = Interrupted(f"the function ended before it was done: {done} was put; promote again")
    interrupted.moves, interrupted.image_digest = moves, record.image_digest
    return interrupted


def _digest(answer: Manifest | Missing) -> str | None:
    return answer.digest if isinstance(answer, Manifest) else None
