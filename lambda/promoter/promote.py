"""The use case: put target tags on exactly the source's bytes, if the policy admits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

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
from promoter.gate import PENDING
from promoter.model import ImageId, Manifest, Outcome, Promoted, Promotion, Reason, Source, TagMove, Trigger
from promoter.policy import Policy
from promoter.ports import Findings, Missing, Registry

Heads = Mapping[str, str | None]
"""By target tag, the digest that it points at now; None: the tag does not exist."""


def promote(
    wish: Promotion, *, policy: Policy, registry: Registry, findings: Findings, now: datetime | None = None
) -> Promoted:
    """Carry out the wish, or say why not. A repeat is not an error.

    One read for the source and all target tags, what the rule's gate asks for, then one write for each tag
    that has to move. Raises an InvalidRequest or a Refusal before anything is written, or a Failure whose
    `moves` are the tags that were put before it happened.
    """
    now = now or datetime.now(UTC)
    wish = settle_digest(wish, policy=policy, registry=registry)
    rule, tags = policy.admit(wish)
    policy.thaw(rule, wish, now=now)
    manifest, heads = survey(wish, tags, registry=registry)
    check_expectations(wish, heads)
    if rule.gate is not None:
        evidence = gather(rule.gate, wish.repository, manifest, registry=registry, findings=findings)
        pass_gate(rule.gate.judge(evidence, now=now))
    moves: list[TagMove] = []
    try:
        for tag in tags:
            moves.append(move(wish, manifest, tag, heads[tag], registry=registry))
    except PromoterError as error:
        error.moves, error.image_digest = tuple(moves), manifest.digest
        raise
    return Promoted(wish.promotion_id, rule.name, wish.repository, manifest, tuple(moves))


def settle_digest(wish: Promotion, *, policy: Policy, registry: Registry) -> Promotion:
    """Pin the source to its digest where a rule makes tags of it; costs a read where only a tag is known."""
    if wish.source.image_digest or not any(rule.needs_digest for rule in policy.serving(wish)):
        return wish
    source_id = wish.source.image_id
    manifest = found(wish, registry.read(wish.repository, [source_id])[source_id])
    return replace(wish, source=Source(replace(source_id, image_digest=manifest.digest)))


def survey(wish: Promotion, tags: Sequence[str], *, registry: Registry) -> tuple[Manifest, Heads]:
    """Read the source and where the target tags point, at once."""
    target_ids = {tag: ImageId(image_tag=tag) for tag in tags}
    source_ids = [] if wish.source.manifest else [wish.source.image_id]
    answers = registry.read(wish.repository, list(dict.fromkeys([*source_ids, *target_ids.values()])))
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


def check_expectations(wish: Promotion, heads: Heads) -> None:
    """Hold `expected_digests` against where the tags point; the first that is elsewhere refuses the wish."""
    for tag, expected in wish.expected_digests.items():
        if tag not in heads:
            raise InvalidRequest(f"expectedDigests names {tag}, which is no target tag", field="expectedDigests")
        if heads[tag] != expected:
            raise TagChanged(
                f"tag {tag} of {wish.repository.name} is expected at {expected or 'no image'} "
                f"but is at {heads[tag] or 'no image'}; look again before you promote"
            )


def pass_gate(reasons: tuple[Reason, ...]) -> None:
    """Raise ScanPending where only scans are missing that may still come, GateRefused where more is in the way."""
    if not reasons:
        return
    if all(reason.code == PENDING for reason in reasons):
        raise ScanPending(f"{reasons[0].sentence}: try again when it is done", reasons=reasons)
    final = [reason for reason in reasons if reason.code != PENDING]
    more = f" and {len(final) - 1} more reasons" if len(final) > 1 else ""
    raise GateRefused(f"{final[0].sentence}{more}", reasons=reasons)


def move(wish: Promotion, manifest: Manifest, tag: str, head: str | None, *, registry: Registry) -> TagMove:
    """Put one tag, unless it is there already or the wish is a dry run."""
    if head == manifest.digest:
        return TagMove(tag, Outcome.UNCHANGED, head)
    if wish.dry_run:
        return TagMove(tag, Outcome.PLANNED, head)
    if registry.put(wish.repository, manifest, tag):
        return TagMove(tag, Outcome.PROMOTED, head)
    return TagMove(tag, Outcome.UNCHANGED, manifest.digest)  # somebody else put it since the read
