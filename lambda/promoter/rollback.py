"""A rollback: a promotion that puts tags back on the image where they were before another promotion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promoter.errors import InvalidRequest
from promoter.model import ImageId, Outcome, Promotion, Record, Source, Trigger


@dataclass(frozen=True)
class Undo:
    """Who asks for a rollback, of which of the promotion's tags (None: all that it moved), under which id."""

    promotion_id: str
    caller: str | None
    image_tags: Sequence[str] | None
    fingerprint: str = ""


def wish(record: Record, undo: Undo) -> Promotion:
    """Return the promotion that takes another one back: only from where that one had put the tags.

    Raises InvalidRequest where there is nothing to take back, or more than one image to go back to.
    """
    moved = {move.image_tag: move.previous_digest for move in record.moves if move.outcome is Outcome.PROMOTED}
    wanted = list(moved) if undo.image_tags is None else list(undo.image_tags)
    if strangers := [tag for tag in wanted if tag not in moved]:
        raise InvalidRequest(
            f"promotion {record.promotion_id} did not move {', '.join(strangers)}", field="imageTags"
        )
    back = {tag: moved[tag] for tag in wanted if moved[tag] is not None}
    if not back:
        raise InvalidRequest(
            f"promotion {record.promotion_id} moved no tag that had been on another image; delete new tags in ECR"
        )
    if len(set(back.values())) > 1:
        raise InvalidRequest(
            "the tags were on different images: name those of one in imageTags", field="imageTags"
        )
    return Promotion(
        promotion_id=undo.promotion_id,
        trigger=Trigger.REQUEST,
        repository=record.repository,
        source=Source(ImageId(image_digest=next(iter(back.values())))),
        image_tags=tuple(back),
        expected_digests=dict.fromkeys(back, record.image_digest),
        caller=undo.caller,
        rule=record.rule,
        undoes=record.promotion_id,
        fingerprint=undo.fingerprint,
    )
