"""The answer that stands: what was recorded first under a promotionId is told again."""

from __future__ import annotations

from promoter import records
from promoter.errors import PromoterError
from promoter.model import ImageId, Manifest, Promoted, Record
from promoter.ports import AbandonedError, Missing
from promoter.settle import settle
from promoter.world import World


def first_answer(record: Record, answer: Promoted | PromoterError, world: World) -> Promoted:
    """Record an outcome that moved nothing, and give it; or the earlier one, where the promotion ended before."""
    ended = records.ended(record, answer, now=world.now())
    kept = keep(ended, world)
    if kept is not ended:
        return replay(kept, world)
    if isinstance(answer, PromoterError):
        answer.recorded = True
        raise answer
    return answer


def keep(ended: Record, world: World) -> Record:
    """Record what moved nothing; an earlier promotion of the same id that was given up is settled first."""
    try:
        return world.ledger.record(ended)
    except AbandonedError as abandoned:
        settle(abandoned.promotion_id, world)
        return world.ledger.record(ended)


def replay(record: Record, world: World) -> Promoted:
    """Give the answer that the promotion was given when it ended."""
    told = records.error(record)
    if told is not None:
        told.recorded = told.repeated = True
        raise told
    image_id = ImageId(image_digest=record.image_digest)
    manifest = world.registry.read(record.repository, [image_id])[image_id]
    if isinstance(manifest, Missing):  # deleted since: the answer stands, without the bytes
        manifest = Manifest(b"", record.media_type or "", record.image_digest or "")
    return Promoted(
        record.promotion_id, record.rule or "", record.repository, manifest, record.moves, repeated=True
    )
