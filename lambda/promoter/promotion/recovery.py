"""Ends promotions that were interrupted, by looking at the tags: nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from promoter.domain import documents
from promoter.domain.errors import (
    Interrupted,
    LedgerError,
    NotAllowed,
    PromoterError,
    RegistryError,
    RepositoryNotFound,
    TagBusy,
)
from promoter.domain.model import ImageId, Manifest, Outcome, Promoted, Repository, TagMove, Turn, Unreadable
from promoter.domain.ports import AbandonedError, Found, LeaseLostError, Missing
from promoter.promotion.dependencies import Dependencies

GIVE_UP = timedelta(days=1)
"""How long an interrupted promotion whose tags cannot be read is tried again, before it ends without them."""


def recover_in_the_way(abandoned: AbandonedError, repository: Repository, dependencies: Dependencies) -> None:
    """Settle somebody else's promotion; what goes wrong with it is for the one in whose way it is to wait for."""
    try:
        if not recover(abandoned.promotion_id, dependencies) and abandoned.image_tags:
            dependencies.ledger.release(repository, abandoned.image_tags, abandoned.promotion_id)
    except PromoterError as error:
        raise TagBusy(f"an interrupted promotion of the tag is not settled yet: {error.detail}") from error


def recover(promotion_id: str, dependencies: Dependencies) -> bool:
    """Record how an interrupted promotion ended and free its turn; False if it is not under way."""
    turn = dependencies.ledger.turn(promotion_id)
    if turn is None:
        return False
    if turn.until > dependencies.now():
        return True
    try:
        _end(turn, dependencies)
    except LedgerError:
        if dependencies.ledger.turn(promotion_id) == turn:
            raise  # nobody else has settled it
    return True


def read_or_missing(
    dependencies: Dependencies, repository: Repository, image_ids: Sequence[ImageId]
) -> Mapping[ImageId, Found]:
    """Read; in a repository that was deleted meanwhile there is nothing."""
    try:
        return dependencies.registry.read(repository, image_ids)
    except RepositoryNotFound:
        return dict.fromkeys(image_ids, Missing.NOT_FOUND)


def _end(turn: Turn, dependencies: Dependencies, lost: tuple[str, ...] = ()) -> None:
    """End a turn by where its tags are. Tags that it does not hold are not judged: others have moved them."""
    ended = documents.ended(turn.record, _judged(turn, lost, dependencies), now=dependencies.now())
    try:
        dependencies.ledger.finish(turn, ended)
    except LeaseLostError as error:
        _end(turn.without(error.image_tags), dependencies, lost + error.image_tags)


def _judged(turn: Turn, lost: tuple[str, ...], dependencies: Dependencies) -> Promoted | Interrupted:
    try:
        digests = _digests(turn, dependencies)
    except PromoterError as error:
        no_right = isinstance(error, NotAllowed)  # no rule is about the repository any longer
        if not no_right and dependencies.now() < turn.until + GIVE_UP:
            raise
        return _interrupted(turn, (), f"its tags could not be read: {error.detail}")
    planned = turn.planned.items()
    put = tuple(_carried_out(turn, move) for tag, move in planned if digests[tag] == turn.record.digest_of(move))
    if lost or len(put) < len(turn.planned):
        return _interrupted(turn, put, f"{_names(turn, put)} was put")
    return _done(turn, put)


def _digests(turn: Turn, dependencies: Dependencies) -> Mapping[str, str | None]:
    """Return where the tags are that the turn holds."""
    repository = turn.record.repository
    dependencies.policy.require_repository(repository)
    tag_ids = {tag: ImageId(image_tag=tag) for tag in turn.planned}
    answers = read_or_missing(dependencies, repository, list(tag_ids.values())) if tag_ids else {}
    return {tag: _digest(repository, tag, answers[tag_id]) for tag, tag_id in tag_ids.items()}


def _digest(repository: Repository, tag: str, answer: Found) -> str | None:
    if isinstance(answer, Unreadable):
        raise RegistryError(f"tag {tag} of {repository.name} cannot be read: {answer.reason}")
    return answer.digest if isinstance(answer, Manifest) else None


def _carried_out(turn: Turn, move: TagMove) -> TagMove:
    there_before = move.previous_digest == turn.record.digest_of(move)
    return replace(move, outcome=Outcome.UNCHANGED if there_before else Outcome.PROMOTED)


def _before(turn: Turn) -> tuple[TagMove, ...]:
    """Return the moves of an earlier try that this one carried on."""
    return tuple(move for move in turn.record.moves if move.outcome is Outcome.PROMOTED)


def _done(turn: Turn, put: tuple[TagMove, ...]) -> Promoted:
    record = turn.record
    moves = {move.image_tag: move for move in (*record.moves, *put)}
    manifest = Manifest(b"", record.media_type or "", record.image_digest or "")
    return Promoted(record.promotion_id, record.rule or "", record.repository, manifest, tuple(moves.values()))


def _interrupted(turn: Turn, put: tuple[TagMove, ...], what: str) -> Interrupted:
    interrupted = Interrupted(f"the function ended before it was done: {what}; promote again")
    interrupted.moves, interrupted.image_digest = (*_before(turn), *put), turn.record.image_digest
    return interrupted


def _names(turn: Turn, put: tuple[TagMove, ...]) -> str:
    return ", ".join(move.image_tag for move in (*_before(turn), *put)) or "no tag"
