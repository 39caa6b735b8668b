"""What is looked at before a tag moves: the source, the targets, what is expected, the gate, the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from promoter.errors import (
    GateRefused,
    InvalidRequest,
    PromoterError,
    ScanPending,
    SourceNotFound,
    Superseded,
    TagChanged,
)
from promoter.evidence import gather
from promoter.gate import PENDING, Gate
from promoter.model import ImageId, Manifest, Outcome, Promotion, Reason, Record, Source, TagMove, Trigger
from promoter.policy import Rule
from promoter.ports import Missing
from promoter.world import World

MOST_REASONS = 50  # told of one refusal, so that it fits into a log record, an item and an event
WITH_TIME = frozenset({PENDING, "unsigned", "soaking"})
"""Reasons that pass with time: a promotion that nobody asked for waits for them instead of being refused."""

Heads = Mapping[str, str | None]
"""By target tag, the digest that it points at now; None: the tag does not exist."""


@dataclass(frozen=True)
class Look:
    """What was found before anything moves: the rule to go by, the image, where the tags are.

    `carried` are the moves of an earlier try whose tags are still there, by tag.
    """

    rule: Rule
    manifest: Manifest
    heads: Heads
    carried: Mapping[str, TagMove]

    @property
    def is_done(self) -> bool:
        """Whether all tags are on the image."""
        return all(head == self.manifest.digest for head in self.heads.values())


def settle_digest(wish: Promotion, world: World) -> Promotion:
    """Pin the source to its digest where a rule makes tags of it; costs a read where only a tag is known."""
    if wish.source.image_digest or not any(rule.needs_digest for rule in world.policy.serving(wish)):
        return wish
    source_id = wish.source.image_id
    manifest = found(wish, world.registry.read(wish.repository, [source_id])[source_id])
    return replace(wish, source=Source(replace(source_id, image_digest=manifest.digest)))


def survey(wish: Promotion, tags: Sequence[str], world: World) -> tuple[Manifest, Heads]:
    """Read the source and where the target tags point, at once."""
    target_ids = {tag: ImageId(image_tag=tag) for tag in tags}
    source_ids = [] if wish.source.manifest else [wish.source.image_id]
    answers = world.registry.read(wish.repository, list(dict.fromkeys([*source_ids, *target_ids.values()])))
    manifest = wish.source.manifest or found(wish, answers[wish.source.image_id])
    heads = {tag: answers[target_id] for tag, target_id in target_ids.items()}
    return manifest, {tag: head.digest if isinstance(head, Manifest) else None for tag, head in heads.items()}


def found(wish: Promotion, answer: Manifest | Missing) -> Manifest:
    """Return the source's manifest, or raise what its absence means."""
    if isinstance(answer, Manifest):
        return answer
    source, name = wish.source.image_id, wish.repository.name
    if answer is Missing.TAG_IS_ELSEWHERE and wish.trigger is Trigger.SCAN:
        raise Superseded(f"since the scan of {source.image_digest} tag {source.image_tag} of {name} has moved on")
    if answer is Missing.TAG_IS_ELSEWHERE:
        raise SourceNotFound(f"tag {source.image_tag} of {name} does not point at {source.image_digest}")
    raise SourceNotFound(f"repository {name} has no image {source}; push it first")


def carried_on(earlier: Record | None, manifest: Manifest, heads: Heads) -> Mapping[str, TagMove]:
    """Return the moves of an earlier try whose tags are still there, by tag."""
    if earlier is None or earlier.image_digest != manifest.digest:
        return {}
    return {
        move.image_tag: move
        for move in earlier.moves
        if move.outcome is Outcome.PROMOTED and heads.get(move.image_tag) == manifest.digest
    }


def check_expectations(wish: Promotion, look: Look) -> None:
    """Hold `expected_digests` against where the tags point; the first that is elsewhere refuses the wish.

    A tag that an earlier try has put is expected where it was before. A rollback finds a tag that is back already
    as good as back. The turn is only given where the tags are still there, so that this holds when they are put.
    """
    for tag, expected in wish.expected_digests.items():
        if tag not in look.heads:
            raise InvalidRequest(f"expectedDigests names {tag}, which is no target tag", field="expectedDigests")
        before = look.carried[tag].previous_digest if tag in look.carried else look.heads[tag]
        is_back = wish.undoes is not None and look.heads[tag] == look.manifest.digest
        if before != expected and not is_back:
            raise TagChanged(
                f"tag {tag} of {wish.repository.name} is expected at {expected or 'no image'} "
                f"but is at {look.heads[tag] or 'no image'}; look again before you promote"
            )


def pass_gate(rule: Rule, gate: Gate, wish: Promotion, manifest: Manifest, world: World) -> None:
    """Raise ScanPending where only what may still come is missing, GateRefused where more is in the way."""
    tag, reached_at = wish.source.image_id.image_tag, None
    if gate.soak and tag and (head := world.ledger.head(wish.repository, tag)):
        reached_at = head.moved_at if head.image_digest == manifest.digest else None
    evidence = gather(
        gate,
        wish.repository,
        manifest,
        registry=world.registry,
        findings=world.findings,
        reached_at=reached_at,
    )
    reasons = gate.judge(evidence, now=world.now())
    if reasons:
        raise refusal([replace(reason, rule=rule.name) for reason in reasons], wish.trigger)


def refusal(reasons: Sequence[Reason], trigger: Trigger) -> PromoterError:
    """Return what a gate's reasons amount to: not yet, if all of them pass with time."""
    yet_to_come = WITH_TIME if trigger is Trigger.SCAN else {PENDING}
    told = tuple(reasons[:MOST_REASONS])
    if len(reasons) > MOST_REASONS:
        left = len(reasons) - MOST_REASONS
        told += (Reason("more", f"and {left} more reasons that are not listed", rule=reasons[0].rule),)
    if all(reason.code in yet_to_come for reason in reasons):
        return ScanPending(f"{reasons[0].sentence}: try again when it is done", reasons=told)
    final = [reason for reason in reasons if reason.code not in yet_to_come]
    more = f" and {len(final) - 1} more reasons" if len(final) > 1 else ""
    return GateRefused(f"{final[0].sentence}{more}", reasons=told)


def keep_order(wish: Promotion, manifest: Manifest, heads: Heads, world: World) -> None:
    """Raise Superseded where a scan that comes late would move a tag back to an image that was pushed earlier."""
    others = {head for head in heads.values() if head and head != manifest.digest}
    if wish.trigger is not Trigger.SCAN or not others:
        return
    pushed = world.findings.pushed(wish.repository, [manifest.digest, *sorted(others)])
    for tag, head in heads.items():
        if head in others and pushed[head] > pushed[manifest.digest]:
            raise Superseded(
                f"tag {tag} of {wish.repository.name} is at {head}, pushed {pushed[head]:%Y-%m-%dT%H:%M:%SZ}: "
                f"after {manifest.digest}, {pushed[manifest.digest]:%Y-%m-%dT%H:%M:%SZ}"
            )
