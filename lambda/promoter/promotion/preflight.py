"""What is read and checked before a tag moves: the source, the targets, the expectations, the gate, the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from promoter.domain.errors import (
    GateRefused,
    InvalidRequest,
    PromoterError,
    RegistryError,
    ScanPending,
    SourceNotFound,
    Superseded,
    TagChanged,
)
from promoter.domain.gate import PENDING, Gate
from promoter.domain.model import (
    Head,
    ImageId,
    Manifest,
    Outcome,
    Promotion,
    Reason,
    Record,
    Source,
    TagMove,
    Trigger,
    Unreadable,
)
from promoter.domain.policy import Rule
from promoter.domain.ports import Found, Missing, MovedOnError
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.evidence import gather

MOST_REASONS = 50  # told of one refusal, so that it fits into a log record, an item and an event
WITH_TIME = frozenset({PENDING, "unsigned", "soaking"})
"""Reasons that pass with time: a promotion that nobody asked for waits for them instead of being refused."""

CurrentDigests = Mapping[str, str | None]
"""By target tag, the digest that it points at now; None: the tag does not exist."""


@dataclass(frozen=True)
class Plan:
    """What is to be done, before anything moves: the rule that applies, the image, where the tags are now.

    `images` are the manifests by the tag that they are for; only a rollback has more than one. `resumed_moves` are
    the moves of an earlier attempt whose tags are still there, by tag. `leased` are the tags to lease.
    """

    rule: Rule
    manifest: Manifest
    images: Mapping[str, Manifest]
    current_digests: CurrentDigests
    resumed_moves: Mapping[str, TagMove]
    leased: tuple[str, ...]

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
    def others(self) -> Mapping[str, Manifest]:
        """The manifests by digest, beside the promotion's own."""
        return {each.digest: each for each in self.images.values() if each.digest != self.manifest.digest}


def resolve_digest(promotion: Promotion, dependencies: Dependencies) -> Promotion:
    """Pin the source to its digest where a rule makes tags of it; costs a read where only a tag is known."""
    if promotion.source.image_digest or not any(
        rule.needs_digest for rule in dependencies.policy.serving(promotion)
    ):
        return promotion
    source_id = promotion.source.image_id
    manifest = found(
        promotion, source_id, dependencies.registry.read(promotion.repository, [source_id])[source_id]
    )
    return replace(promotion, source=Source(replace(source_id, image_digest=manifest.digest)))


def read_state(
    promotion: Promotion, tags: Sequence[str], dependencies: Dependencies
) -> tuple[Manifest, Mapping[str, Manifest], CurrentDigests]:
    """Read the source, the images of a rollback, and where the target tags point, at once."""
    target_ids = {tag: ImageId(image_tag=tag) for tag in tags}
    image_ids = {tag: ImageId(image_digest=digest) for tag, digest in promotion.images.items()}
    source_ids = [] if promotion.source.manifest else [promotion.source.image_id]
    asked = dict.fromkeys([*source_ids, *image_ids.values(), *target_ids.values()])
    answers = dependencies.registry.read(promotion.repository, list(asked))
    manifest = promotion.source.manifest or found(
        promotion, promotion.source.image_id, answers[promotion.source.image_id]
    )
    images = {
        tag: found(promotion, image_ids[tag], answers[image_ids[tag]]) if tag in image_ids else manifest
        for tag in tags
    }
    current_digests = {tag: place(promotion, tag, answers[target_id]) for tag, target_id in target_ids.items()}
    return manifest, images, current_digests


def place(promotion: Promotion, tag: str, answer: Found) -> str | None:
    """Return where a target tag is. Raises RegistryError where that cannot be told: nothing is moved blindly."""
    if isinstance(answer, Unreadable):
        raise RegistryError(
            f"where tag {tag} of {promotion.repository.name} is cannot be told: {answer.reason}. "
            "If its image is archived, restore the image or delete the tag, then promote again"
        )
    return answer.digest if isinstance(answer, Manifest) else None


def found(promotion: Promotion, source: ImageId, answer: Found) -> Manifest:
    """Return the manifest of a source, or raise what its absence means."""
    if isinstance(answer, Manifest):
        return answer
    name = promotion.repository.name
    if isinstance(answer, Unreadable):
        raise RegistryError(
            f"{source} of {name} cannot be read: {answer.reason}. "
            "If the image is archived, restore it, then promote again"
        )
    if promotion.trigger is Trigger.SCAN:
        what = "was moved" if answer is Missing.TAG_IS_ELSEWHERE else "was deleted"
        raise Superseded(f"{source} of {name} {what} after its event")
    if answer is Missing.TAG_IS_ELSEWHERE:
        raise SourceNotFound(f"tag {source.image_tag} of {name} does not point at {source.image_digest}")
    raise SourceNotFound(f"repository {name} has no image {source}; push it first")


def resumable_moves(
    earlier: Record | None, images: Mapping[str, Manifest], current_digests: CurrentDigests
) -> Mapping[str, TagMove]:
    """Return the moves of an earlier try, onto the same images, whose tags are still there, by tag."""
    moves = earlier.moves if earlier else ()
    return {
        move.image_tag: move
        for move in moves
        if earlier
        and move.outcome is Outcome.PROMOTED
        and move.image_tag in images
        and current_digests[move.image_tag] == images[move.image_tag].digest == earlier.digest_of(move)
    }


def still_ours(
    resumed_moves: Mapping[str, TagMove], promotion: Promotion, dependencies: Dependencies
) -> Mapping[str, TagMove]:
    """Return the moves of an earlier attempt after which no other promotion has moved the tag."""
    return {
        tag: move
        for tag, move in resumed_moves.items()
        if (head := dependencies.ledger.head(promotion.repository, tag))
        and head.promotion_id == promotion.promotion_id
    }


def to_lease(
    promotion: Promotion,
    images: Mapping[str, Manifest],
    current_digests: CurrentDigests,
    resumed_moves: Mapping[str, TagMove],
    dependencies: Dependencies,
) -> tuple[str, ...]:
    """Return the tags to lease: those that have to move.

    A rollback also takes tags that somebody else has put back already, so that the ledger learns what was rolled
    back from; not those that an earlier rollback of the same promotion has put back. Raises MovedOnError for tags
    that something else was the last to move.
    """
    if not promotion.undoes:
        return tuple(tag for tag, head in current_digests.items() if head != images[tag].digest)
    known = {
        tag: dependencies.ledger.head(promotion.repository, tag)
        for tag in current_digests
        if tag not in resumed_moves
    }
    if moved_on := [tag for tag, head in known.items() if not _is_last(head, promotion.undoes)]:
        raise MovedOnError(moved_on)
    return tuple(
        tag
        for tag, head in known.items()
        if not _is_back(head, promotion.undoes, images[tag], current_digests[tag])
    )


def _is_last(head: Head | None, undone: str) -> bool:
    return head is not None and undone in (head.promotion_id, head.undoes)


def _is_back(head: Head | None, undone: str, image: Manifest, at: str | None) -> bool:
    return head is not None and head.undoes == undone and head.image_digest == image.digest == at


def check_expectations(promotion: Promotion, plan: Plan) -> None:
    """Compare `expected_digests` with where the tags point. Raises TagChanged for the first that is elsewhere.

    A tag that an earlier attempt has put is compared with where it was before that. For a rollback, a tag that was
    already restored counts as restored. The lease is granted only if the tags are still there, so that this holds
    until they are put.
    """
    for tag, expected in promotion.expected_digests.items():
        if tag not in plan.current_digests:
            raise InvalidRequest(f"expectedDigests names {tag}, which is no target tag", field="expectedDigests")
        before = (
            plan.resumed_moves[tag].previous_digest if tag in plan.resumed_moves else plan.current_digests[tag]
        )
        is_back = promotion.undoes is not None and plan.current_digests[tag] == plan.images[tag].digest
        if before != expected and not is_back:
            raise TagChanged(
                f"tag {tag} of {promotion.repository.name} is expected at {expected or 'no image'} "
                f"but is at {plan.current_digests[tag] or 'no image'}; look again before you promote"
            )


def pass_gate(
    rule: Rule, gate: Gate, promotion: Promotion, manifest: Manifest, dependencies: Dependencies
) -> None:
    """Raise ScanPending if everything that is in the way passes with time, GateRefused otherwise."""
    tag, reached_at = promotion.source.image_id.image_tag, None
    if gate.soak and tag and (head := dependencies.ledger.head(promotion.repository, tag)):
        reached_at = head.moved_at if head.image_digest == manifest.digest else None
    evidence = gather(
        gate,
        promotion.repository,
        manifest,
        registry=dependencies.registry,
        image_facts=dependencies.image_facts,
        reached_at=reached_at,
    )
    reasons = gate.judge(evidence, now=dependencies.now())
    if reasons:
        raise refusal([replace(reason, rule=rule.name) for reason in reasons], promotion.trigger)


def refusal(reasons: Sequence[Reason], trigger: Trigger) -> PromoterError:
    """Return what a gate's reasons amount to: not yet, if all of them pass with time."""
    yet_to_come = WITH_TIME if trigger is Trigger.SCAN else {PENDING}
    listed = tuple(reasons[:MOST_REASONS])
    if len(reasons) > MOST_REASONS:
        left = len(reasons) - MOST_REASONS
        listed += (Reason("more", f"and {left} more reasons that are not listed", rule=reasons[0].rule),)
    if all(reason.code in yet_to_come for reason in reasons):
        return ScanPending(f"{reasons[0].sentence}: try again when it is done", reasons=listed)
    final = [reason for reason in reasons if reason.code not in yet_to_come]
    more = f" and {len(final) - 1} more reasons" if len(final) > 1 else ""
    return GateRefused(f"{final[0].sentence}{more}", reasons=listed)


def keep_order(
    promotion: Promotion, manifest: Manifest, current_digests: CurrentDigests, dependencies: Dependencies
) -> None:
    """Raise Superseded where a scan that comes late would move a tag back to an image that was pushed earlier.

    What ECR does not say is not proven: without both times the tag stays where it is.
    """
    others = {head for head in current_digests.values() if head and head != manifest.digest}
    if promotion.trigger is not Trigger.SCAN or not others:
        return
    pushed = dependencies.image_facts.pushed(promotion.repository, [manifest.digest, *sorted(others)])
    own = pushed.get(manifest.digest)
    for tag, head in current_digests.items():
        if head not in others:
            continue
        its = pushed.get(head)
        if own is None or its is None:
            raise Superseded(
                f"tag {tag} of {promotion.repository.name} is at {head}, and Amazon ECR does not say whether "
                f"that or {manifest.digest} was pushed later; send a request to put the tag"
            )
        if its > own:
            raise Superseded(
                f"tag {tag} of {promotion.repository.name} is at {head}, pushed {its:%Y-%m-%dT%H:%M:%SZ}: "
                f"after {manifest.digest}, {own:%Y-%m-%dT%H:%M:%SZ}"
            )
