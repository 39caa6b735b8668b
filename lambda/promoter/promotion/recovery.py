"""Ends promotions that were interrupted, by reading where their tags are: nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from promoter.domain.answers import NotPromoted
from promoter.domain.errors import (
    Interrupted,
    LedgerError,
    NotAllowed,
    PromoterError,
    RegistryError,
    RepositoryNotFound,
    TagBusy,
)
from promoter.domain.leasing import Abandoned
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, Repository, TagMove, Unreadable
from promoter.domain.ports import Found, Missing
from promoter.domain.records import Lease
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.endings import end_of

GIVE_UP = timedelta(days=1)
"""How long an interrupted promotion whose tags cannot be read is tried again, before it ends without them."""


def recover_in_the_way(abandoned: Abandoned, repository: Repository, dependencies: Dependencies) -> None:
    """Recover a promotion that holds the tags. Raises TagBusy if that fails: the caller has to wait."""
    try:
        if not recover(abandoned.promotion_id, dependencies) and abandoned.image_tags:
            dependencies.ledger.release(repository, abandoned.image_tags, abandoned.promotion_id)
    except PromoterError as error:
        raise TagBusy(f"An interrupted promotion holds the tag: {error.detail}") from error


def recover(promotion_id: str, dependencies: Dependencies) -> bool:
    """Record how an interrupted promotion ended, and end its lease; False if it is not under way."""
    lease = dependencies.ledger.lease(promotion_id)
    if lease is None:
        return False
    if lease.until > dependencies.now():
        return True
    try:
        _end(lease, dependencies)
    except LedgerError:
        if dependencies.ledger.lease(promotion_id) == lease:
            raise  # nobody else has recovered it
    return True


def digest_at(repository: Repository, image_tag: str, answer: Found) -> str | None:
    """Return where a tag is; None: it does not exist. Raises RegistryError where that is not known."""
    if isinstance(answer, Unreadable):
        raise RegistryError(
            f"It is not known where tag {image_tag} of {repository.name} is: {answer.reason}. "
            "If its image is archived, restore the image or delete the tag, then promote again."
        )
    return answer.digest if isinstance(answer, Manifest) else None


def read_or_missing(
    dependencies: Dependencies, repository: Repository, image_ids: Sequence[ImageId]
) -> Mapping[ImageId, Found]:
    """Read; in a repository that was deleted meanwhile there is nothing."""
    try:
        return dependencies.registry.read(repository, image_ids)
    except RepositoryNotFound:
        return dict.fromkeys(image_ids, Missing.NOT_FOUND)


def _end(lease: Lease, dependencies: Dependencies, lost: tuple[str, ...] = ()) -> None:
    """End a lease by where its tags are. Tags that it does not hold are not judged: others have moved them."""
    ended, _ = end_of(lease, _judged(lease, lost, dependencies), dependencies)
    if more := dependencies.ledger.finish(lease, ended):
        _end(lease.without(more.image_tags), dependencies, lost + more.image_tags)


def _judged(lease: Lease, lost: tuple[str, ...], dependencies: Dependencies) -> Promoted | NotPromoted:
    try:
        digests = _digests(lease, dependencies)
    except PromoterError as error:
        no_right = isinstance(error, NotAllowed)  # no rule covers the repository any longer
        if not no_right and dependencies.now() < lease.until + GIVE_UP:
            raise
        return _interrupted(lease, (), f"Its tags could not be read: {error.detail}")
    planned = lease.planned.items()
    put = tuple(_carried_out(lease, move) for tag, move in planned if digests[tag] == lease.record.digest_of(move))
    if lost or len(put) < len(lease.planned):
        return _interrupted(lease, put, f"It had put {_names(lease, put)}.")
    return _done(lease, put)


def _digests(lease: Lease, dependencies: Dependencies) -> Mapping[str, str | None]:
    """Return where the tags are that the lease holds."""
    repository = lease.record.repository
    dependencies.policy.require_repository(repository)
    tag_ids = {tag: ImageId(image_tag=tag) for tag in lease.planned}
    answers = read_or_missing(dependencies, repository, list(tag_ids.values())) if tag_ids else {}
    return {tag: digest_at(repository, tag, answers[tag_id]) for tag, tag_id in tag_ids.items()}


def _carried_out(lease: Lease, move: TagMove) -> TagMove:
    there_before = move.previous_digest == lease.record.digest_of(move)
    return replace(move, outcome=Outcome.UNCHANGED if there_before else Outcome.PROMOTED)


def _before(lease: Lease) -> tuple[TagMove, ...]:
    """Return the moves of an earlier attempt that this one carried on."""
    return tuple(move for move in lease.record.moves if move.outcome is Outcome.PROMOTED)


def _done(lease: Lease, put: tuple[TagMove, ...]) -> Promoted:
    record = lease.record
    moves = {move.image_tag: move for move in (*record.moves, *put)}
    manifest = Manifest(b"", record.media_type or "", record.image_digest or "")
    return Promoted(record.promotion_id, record.rule or "", record.repository, manifest, tuple(moves.values()))


def _interrupted(lease: Lease, put: tuple[TagMove, ...], what: str) -> NotPromoted:
    error = Interrupted(f"The promotion was interrupted before its end. {what} Promote again.")
    return NotPromoted(error, (*_before(lease), *put), lease.record.image_digest)


def _names(lease: Lease, put: tuple[TagMove, ...]) -> str:
    return ", ".join(move.image_tag for move in (*_before(lease), *put)) or "no tag"
