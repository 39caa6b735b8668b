"""Resolves and reads: from a promotion to the plan of what has to move, before anything does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from promoter.domain import waiting
from promoter.domain.decision import Decision, needing_digest
from promoter.domain.errors import RegistryError, SourceNotFound, Superseded, TagChanged
from promoter.domain.model import (
    ImageId,
    Manifest,
    Outcome,
    Promoted,
    Promotion,
    Seen,
    Source,
    TagMove,
    Trigger,
    Unreadable,
)
from promoter.domain.ports import Found, Missing
from promoter.domain.records import Head, Position, Record
from promoter.domain.rule import Rule
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.recovery import digest_at

CurrentDigests = Mapping[str, str | None]
"""By target tag, the digest that it points at now; None: the tag does not exist."""


@dataclass(frozen=True)
class AttemptState:
    """What an attempt of a promotion leaves for the next one.

    `versions` are those of heads whose digest in the ledger is out of date, `passed` is the digest that passed the
    gate, `earlier` the record of an attempt that put tags, or of the promotion while it waited.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    passed: str | None = None
    earlier: Record | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be done, before anything moves: the rule that applies, the image, where the tags are now.

    `images` are the manifests by the tag that they are for; only a rollback has more than one. `resumed_moves` are
    the moves of an earlier attempt whose tags are still there, by tag. `leased` are the tags to lease, `exact` the
    versions that their heads must have then: of a promotion that has waited.
    """

    promotion: Promotion
    rule: Rule
    manifest: Manifest
    images: Mapping[str, Manifest]
    current_digests: CurrentDigests
    resumed_moves: Mapping[str, TagMove]
    leased: tuple[str, ...]
    exact: Mapping[str, int] = field(default_factory=dict)

    def planned(self, tag: str) -> TagMove:
        """Return the move that a tag has before it."""
        own = self.images[tag].digest
        there = self.current_digests[tag] == own
        return TagMove(
            tag,
            Outcome.UNCHANGED if there else Outcome.PLANNED,
            self.current_digests[tag],
            own if own != self.manifest.digest else None,
        )

    @property
    def moves(self) -> tuple[TagMove, ...]:
        """The moves of all tags: those of an earlier attempt, and those that are planned."""
        return tuple(self.resumed_moves.get(tag) or self.planned(tag) for tag in self.current_digests)

    def answer(self, moves: tuple[TagMove, ...]) -> Promoted:
        """Return the answer of the promotion once its tags are moved so."""
        return Promoted(
            self.promotion.promotion_id,
            self.rule.name,
            self.promotion.repository,
            self.manifest,
            moves,
            others={each.digest: each for each in self.images.values() if each.digest != self.manifest.digest},
        )


def resolve_digest(promotion: Promotion, dependencies: Dependencies) -> Promotion:
    """Pin the source to its digest where a rule makes tags of it; costs a read where only a tag is known."""
    if not needing_digest(promotion, dependencies.policy):
        return promotion
    source_id = promotion.source.image_id
    answer = dependencies.registry.read(promotion.repository, [source_id])[source_id]
    manifest = _found(promotion, source_id, answer)
    return replace(promotion, source=Source(replace(source_id, image_digest=manifest.digest)))


def read_state(decision: Decision, state: AttemptState, dependencies: Dependencies) -> Plan:
    """Read the source, the images of a rollback, and where the target tags point, at once.

    Raises TagChanged where a rollback is not of a tag's last promotion, Superseded where a tag has moved while the
    promotion waited.
    """
    promotion, tags = decision.promotion, decision.image_tags
    target_ids = {tag: ImageId(image_tag=tag) for tag in tags}
    image_ids = {tag: ImageId(image_digest=digest) for tag, digest in promotion.images.items()}
    source_id = promotion.source.image_id
    if promotion.is_pinned:
        source_id = ImageId(image_digest=source_id.image_digest)
    source_ids = [] if promotion.source.manifest else [source_id]
    asked = dict.fromkeys([*source_ids, *image_ids.values(), *target_ids.values()])
    answers = dependencies.registry.read(promotion.repository, list(asked))
    manifest = promotion.source.manifest or _found(promotion, source_id, answers[source_id])
    images = {
        tag: _found(promotion, image_ids[tag], answers[image_ids[tag]]) if tag in image_ids else manifest
        for tag in tags
    }
    current_digests = {
        tag: digest_at(promotion.repository, tag, answers[target_id]) for tag, target_id in target_ids.items()
    }
    resumed_moves = _resumable_moves(promotion, images, current_digests, state.earlier, dependencies)
    leased = _to_lease(promotion, images, current_digests, resumed_moves, dependencies)
    exact = _unmoved(promotion, leased, current_digests, dependencies)
    return Plan(promotion, decision.rule, manifest, images, current_digests, resumed_moves, leased, exact)


def moved_on(image_tags: Sequence[str]) -> TagChanged:
    """Return the refusal of a rollback of what is not a tag's last promotion."""
    return TagChanged(
        f"Another promotion has moved {', '.join(image_tags)} since. A rollback takes back only a tag's last "
        "promotion. Read GET /heads before you roll back."
    )


def _found(promotion: Promotion, source: ImageId, answer: Found) -> Manifest:
    """Return the manifest of a source, or raise what its absence means."""
    if isinstance(answer, Manifest):
        return answer
    name = promotion.repository.name
    if isinstance(answer, Unreadable):
        raise RegistryError(
            f"{source} of {name} cannot be read: {answer.reason}. "
            "If the image is archived, restore it, then promote again."
        )
    if promotion.trigger is Trigger.SCAN:
        what = "was moved" if answer is Missing.TAG_IS_ELSEWHERE else "was deleted"
        raise Superseded(f"{source} of {name} {what} after its event.")
    if answer is Missing.TAG_IS_ELSEWHERE:
        raise SourceNotFound(f"Tag {source.image_tag} of {name} does not point at {source.image_digest}.")
    raise SourceNotFound(f"Repository {name} has no image {source}. Push it first.")


def _resumable_moves(
    promotion: Promotion,
    images: Mapping[str, Manifest],
    current_digests: CurrentDigests,
    earlier: Record | None,
    dependencies: Dependencies,
) -> Mapping[str, TagMove]:
    """Return the moves of an earlier attempt, by tag: onto the same images, and nobody has moved the tag since."""
    if earlier is None:
        return {}
    there = {
        move.image_tag: move
        for move in earlier.moves
        if move.outcome is Outcome.PROMOTED
        and move.image_tag in images
        and current_digests[move.image_tag] == images[move.image_tag].digest == earlier.digest_of(move)
    }
    heads = {tag: dependencies.heads.head(promotion.repository, tag) for tag in there}
    return {tag: there[tag] for tag, head in heads.items() if head and head.promotion_id == promotion.promotion_id}


def _to_lease(
    promotion: Promotion,
    images: Mapping[str, Manifest],
    current_digests: CurrentDigests,
    resumed_moves: Mapping[str, TagMove],
    dependencies: Dependencies,
) -> tuple[str, ...]:
    """Return the tags to lease: those that have to move.

    A rollback also takes tags that somebody else has put back already, so that the ledger records what was rolled
    back; not those that an earlier rollback of the same promotion has put back.
    """
    if not promotion.undoes:
        return tuple(tag for tag, digest in current_digests.items() if digest != images[tag].digest)
    left = [tag for tag in current_digests if tag not in resumed_moves]
    heads = {tag: dependencies.heads.head(promotion.repository, tag) for tag in left}
    if others := [tag for tag, head in heads.items() if not _is_last(head, promotion.undoes)]:
        raise moved_on(others)
    return tuple(
        tag
        for tag, head in heads.items()
        if not _is_back(head, promotion.undoes, images[tag], current_digests[tag])
    )


def _is_last(head: Head | None, undone: str) -> bool:
    return head is not None and undone in (head.promotion_id, head.undoes)


def _is_back(head: Head | None, undone: str, image: Manifest, at: str | None) -> bool:
    return head is not None and head.undoes == undone and head.image_digest == image.digest == at


def _unmoved(
    promotion: Promotion, leased: Sequence[str], current_digests: CurrentDigests, dependencies: Dependencies
) -> Mapping[str, int]:
    """Return the versions of tags that are where they were when a waiting request was accepted.

    A promotion that was moving the tag then has come before it. Raises Superseded for any other move.
    """
    if promotion.wait is None or promotion.wait.seen is None:
        return {}
    positions = dependencies.heads.positions(promotion.repository, leased)
    others = [
        tag
        for tag, position in positions.items()
        if not _is_as_seen(promotion.wait.seen.get(tag), position, current_digests[tag])
    ]
    if others:
        raise waiting.moved(others)
    return {tag: position.version for tag, position in positions.items()}


def _is_as_seen(seen: Seen | None, position: Position, current_digest: str | None) -> bool:
    if seen is None:
        return False
    if (position.version, current_digest) == (seen.version, seen.image_digest):
        return True
    is_by_holder = seen.holder is not None and position.promotion_id == seen.holder
    return is_by_holder and (position.version, current_digest) == (seen.version + 1, position.image_digest)
