"""The use case: put target tags on exactly the source's bytes, if the policy admits it; and keep a record."""

from __future__ import annotations

import random

from promoter.domain import documents
from promoter.domain.errors import (
    Frozen,
    InvalidRequest,
    LedgerError,
    PromoterError,
    SourceNotFound,
    Superseded,
    TagBusy,
    TagChanged,
)
from promoter.domain.model import Promoted, Promotion, Trigger
from promoter.domain.policy import Rule
from promoter.domain.ports import AbandonedError, HeadMovedError, MovedOnError, PartlyDoneError, TakenBackError
from promoter.promotion.dependencies import World
from promoter.promotion.execute import Course, take_turn
from promoter.promotion.idempotency import first_answer, replay
from promoter.promotion.preflight import (
    Look,
    carried_on,
    check_expectations,
    keep_order,
    pass_gate,
    settle_digest,
    still_ours,
    survey,
    to_lease,
)
from promoter.promotion.recovery import settle_in_the_way


def promote(promotion: Promotion, world: World) -> Promoted:
    """Carry out the promotion, or say why not. A repeat is not an error: it gets the first answer.

    One read for the source and all target tags, what the rule's gate asks for, then the lease of the tags that
    have to move, one write for each, and the record. Raises an InvalidRequest or a Refusal before anything is
    written, or a Failure whose `moves` are the tags that were put before it happened. Final outcomes are recorded.
    Retryable failures are recorded only after the lease was taken. A promotion by event waits for the end of a
    freeze: it has not ended, and is not recorded.
    """
    try:
        return patiently(promotion, world)
    except PromoterError as error:
        if error.recorded or error.unsettled or promotion.dry_run or isinstance(error, InvalidRequest):
            raise  # what is unsettled has a record already, which is settled when its turn is over
        if error.retryable or (isinstance(error, Frozen) and promotion.trigger is Trigger.SCAN):
            return told_before(promotion, error, world)
        return first_answer(documents.opened(promotion), error, world)


def told_before(promotion: Promotion, error: PromoterError, world: World) -> Promoted:
    """Return the first answer of a request whose Idempotency-Key was used before; otherwise raise the error."""
    if promotion.fingerprint and promotion.trigger is Trigger.REQUEST and not isinstance(error, LedgerError):
        earlier = world.ledger.earlier(documents.opened(promotion))
        if earlier is not None and documents.is_final(earlier):
            return replay(earlier, world)
    raise error


def patiently(promotion: Promotion, world: World) -> Promoted:
    """Attempt the promotion until no other one is in the way, or until `patience` is over."""
    course, deadline = Course(), world.now() + world.patience
    while True:
        try:
            return attempt(promotion, course, world)
        except HeadMovedError as moved:
            course.versions = {**course.versions, **moved.versions}
            in_the_way = TagBusy(f"{moved} while it was looked at; try again")
        except PartlyDoneError as partly:
            course.earlier = partly.record
            in_the_way = TagBusy("another try of this promotion is under way; try again")
        except TakenBackError as back:
            raise Superseded(
                f"tag {back} was rolled back from this image; send a request to put it again"
            ) from None
        except MovedOnError as moved_on:
            raise TagChanged(
                f"tag {moved_on} was promoted again since: a rollback takes back only its last promotion. "
                "Look again before you roll back"
            ) from None
        except AbandonedError as abandoned:
            settle_in_the_way(abandoned, promotion.repository, world)
            in_the_way = TagBusy("an interrupted promotion of the tag is being settled; try again")
        except TagBusy as busy:
            in_the_way = busy
        if world.now() > deadline:
            raise in_the_way
        world.pause(random.uniform(0.05, 0.3))  # noqa: S311 - spreads those who wait


def attempt(promotion: Promotion, course: Course, world: World) -> Promoted:
    """Read, judge, lease and put, once."""
    pinned = settle_digest(promotion, world)
    rule, tags = admit(pinned, world)
    try:
        manifest, images, heads = survey(pinned, tags, world)
    except SourceNotFound:
        if pinned is not promotion:  # we have pinned it ourselves, a moment ago
            raise TagBusy("the source tag moved while it was read; try again") from None
        raise
    carried = still_ours(carried_on(course.earlier, images, heads), pinned, world)
    look = Look(rule, manifest, images, heads, carried, to_lease(pinned, images, heads, carried, world))
    try:
        check(pinned, look, course, world)
    except SourceNotFound:
        if pinned.source.manifest is not None:  # brought along, and never pushed
            raise
        # It was there a moment ago: what that means, the next read says.
        raise TagBusy("an image was deleted while it was looked at; try again") from None
    if promotion.dry_run or not look.leased:
        return stay(pinned, look, course, world)
    return take_turn(pinned, look, course, world)


def check(promotion: Promotion, look: Look, course: Course, world: World) -> None:
    """Check expectations, gate and order before tags move. The gate judges the same image only once."""
    try:
        check_expectations(promotion, look)
    except TagChanged:
        look_back(promotion, course, world)
        raise
    if look.rule.gate is not None and not promotion.undoes and course.passed != look.manifest.digest:
        pass_gate(look.rule, look.rule.gate, promotion, look.manifest, world)
        course.passed = look.manifest.digest
    keep_order(promotion, look.manifest, look.heads, world)


def admit(promotion: Promotion, world: World) -> tuple[Rule, tuple[str, ...]]:
    """Return the rule to go by and the tags to put. Raises NotAllowed, InvalidRequest or Frozen."""
    if promotion.undoes:
        rule, tags = world.policy.admit_rollback(promotion), promotion.image_tags or ()
    else:
        rule, tags = world.policy.admit(promotion)
    if promotion.override is None:
        world.policy.thaw(rule, promotion, now=world.now(), stops=world.ledger.freezes())
    return rule, tags


def look_back(promotion: Promotion, course: Course, world: World) -> None:
    """Raise PartlyDoneError if the tags are elsewhere because an earlier try of this promotion has put them."""
    if course.earlier is None and not promotion.dry_run:
        earlier = world.ledger.earlier(documents.opened(promotion))
        if earlier is not None and not documents.is_final(earlier):
            raise PartlyDoneError(earlier)


def stay(promotion: Promotion, look: Look, course: Course, world: World) -> Promoted:
    """Answer a promotion that moves nothing: a dry run, or tags that are in place already."""
    moves = tuple(look.carried.get(tag) or look.planned(tag) for tag in look.heads)
    answer = Promoted(
        promotion.promotion_id, look.rule.name, promotion.repository, look.manifest, moves, others=look.others
    )
    if promotion.dry_run:
        return answer
    return first_answer(documents.opened(promotion), answer, world, course.earlier)
