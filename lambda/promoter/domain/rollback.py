"""A rollback: a promotion that puts tags back on the images where they were before another promotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from promoter.domain.errors import InvalidRequest, TagBusy, TagChanged
from promoter.domain.model import ImageId, Outcome, Promotion, Source, Trigger, Wait
from promoter.domain.records import Head, Record
from promoter.domain.templates import is_promotable


class Undo(NamedTuple):
    """Who asks for a rollback, of which of the promotion's tags (None: all that it moved), under which id.

    `override` is an operator's reason to roll back under a freeze, or without the promotion's rule. `wait` is how
    long the rollback may wait for what passes with time; None: not at all.
    """

    promotion_id: str
    caller: str | None
    image_tags: Sequence[str] | None
    fingerprint: str = ""
    override: str | None = None
    wait: Wait | None = None


def promotion(record: Record, undo: Undo) -> Promotion:
    """Return the promotion that takes another one back: only from where that one had put the tags.

    Raises InvalidRequest where there is nothing to take back, TagBusy while the promotion has not ended.
    """
    if record.outcome is None:
        raise TagBusy(f"Promotion {record.promotion_id} is under way or not recovered yet. Retry.")
    if record.outcome is Outcome.WAITING:
        raise TagBusy(
            f"Promotion {record.promotion_id} waits. Cancel it first: DELETE /promotions/{record.promotion_id}."
        )
    moves = {move.image_tag: move for move in record.moves if move.outcome is Outcome.PROMOTED}
    wanted = list(moves) if undo.image_tags is None else list(undo.image_tags)
    if not_moved := [tag for tag in wanted if tag not in moves]:
        raise InvalidRequest(
            f"Promotion {record.promotion_id} did not move {', '.join(not_moved)}.", field="imageTags"
        )
    if reserved := [tag for tag in wanted if not is_promotable(tag)]:
        raise InvalidRequest(f"{reserved[0]} is not a tag that a rollback may put.", field="imageTags")
    images = _images({tag: moves[tag].previous_digest for tag in wanted})
    if not images:
        raise InvalidRequest(
            f"Promotion {record.promotion_id} moved no tag that was on another image before. "
            "Delete new tags in ECR."
        )
    return Promotion(
        promotion_id=undo.promotion_id,
        trigger=Trigger.REQUEST,
        repository=record.repository,
        source=Source(ImageId(image_digest=next(iter(images.values())))),
        image_tags=tuple(images),
        expected_digests={tag: record.digest_of(moves[tag]) for tag in images},
        caller=undo.caller,
        rule=record.rule,
        undoes=record.promotion_id,
        fingerprint=undo.fingerprint,
        images=images,
        override=undo.override,
        wait=undo.wait,
    )


def require_last(record: Record, head: Head, expected_digest: str) -> None:
    """Check a rollback that names a tag and where it is, not a promotion; `record` is the head's last promotion.

    Raises TagChanged where the tag is not there, InvalidRequest where its last promotion was itself a rollback:
    the same call sent twice must not put back the image that it took away.
    """
    if head.image_digest != expected_digest:
        raise TagChanged(f"Tag {head.image_tag} is expected at {expected_digest} but is at {head.image_digest}.")
    if record.undoes:
        raise InvalidRequest(
            f"The last promotion of {head.image_tag}, {record.promotion_id}, was itself a rollback. "
            "To take that back, name it: POST /promotions/{promotionId}/rollback.",
            field="imageTag",
        )


def _images(before: Mapping[str, str | None]) -> dict[str, str]:
    """Return the images to go back to; a tag that was new has none."""
    return {tag: digest for tag, digest in before.items() if digest is not None}
