"""Ends promotions that were interrupted, by looking at the tags: nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from promoter import records
from promoter.errors import Interrupted, RepositoryNotFound
from promoter.model import ImageId, Manifest, Outcome, Promoted, Repository, TagMove, Turn
from promoter.ports import Missing
from promoter.world import World


def settle(promotion_id: str, world: World) -> None:
    """Record how an interrupted promotion ended and free its turn; nothing is done if it has ended meanwhile."""
    turn = world.ledger.turn(promotion_id)
    if turn is None or turn.until > world.now():
        return
    record = turn.record
    source = ImageId(image_digest=record.image_digest)
    planned = {move.image_tag: move for move in record.moves}
    tags = {tag: ImageId(image_tag=tag) for tag in record.image_tags}
    answers = look(world, record.repository, [source, *tags.values()])
    there = [tag for tag, tag_id in tags.items() if _digest(answers[tag_id]) == record.image_digest]
    moves = tuple(
        replace(planned[tag], outcome=Outcome.PROMOTED)
        if tag in planned
        else TagMove(tag, Outcome.UNCHANGED, record.image_digest)
        for tag in there
    )
    world.ledger.finish(turn, records.ended(record, _answer(turn, moves, answers[source]), now=world.now()))


def look(
    world: World, repository: Repository, image_ids: Sequence[ImageId]
) -> Mapping[ImageId, Manifest | Missing]:
    """Read; in a repository that was deleted meanwhile there is nothing."""
    try:
        return world.registry.read(repository, image_ids)
    except RepositoryNotFound:
        return dict.fromkeys(image_ids, Missing.NOT_FOUND)


def _answer(turn: Turn, moves: tuple[TagMove, ...], source: Manifest | Missing) -> Promoted | Interrupted:
    record = turn.record
    if len(moves) == len(record.image_tags):
        digest, media_type = record.image_digest or "", record.media_type or ""
        manifest = source if isinstance(source, Manifest) else Manifest(b"", media_type, digest)
        return Promoted(record.promotion_id, record.rule or "", record.repository, manifest, moves)
    done = ", ".join(move.image_tag for move in moves) or "no tag"
    interrupted = Interrupted(f"the function ended before it was done: {done} was put; promote again")
    interrupted.moves, interrupted.image_digest = moves, record.image_digest
    return interrupted


def _digest(answer: Manifest | Missing) -> str | None:
    return answer.digest if isinstance(answer, Manifest) else None
