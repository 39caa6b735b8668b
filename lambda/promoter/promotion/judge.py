"""Judges a plan before a tag moves: what the caller expects, the rule's gate, the order of the images."""

from __future__ import annotations

from datetime import datetime

from promoter.domain import decision
from promoter.domain.errors import InvalidRequest, SourceNotFound, Superseded, TagBusy, TagChanged
from promoter.domain.model import Trigger
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.evidence import gather
from promoter.promotion.plan import AttemptState, Plan


def judge(plan: Plan, state: AttemptState, dependencies: Dependencies) -> None:
    """Raise TagChanged, GateRefused, ScanPending or Superseded where a tag may not move.

    The gate judges the same image only once in all attempts. Raises TagBusy where the image was deleted meanwhile:
    the next attempt reads what that means.
    """
    check_expectations(plan)
    try:
        if state.passed != plan.manifest.digest:
            check_gate(plan, dependencies)
        check_order(plan, dependencies)
    except SourceNotFound:
        if plan.promotion.source.manifest is not None:  # brought along, and never pushed
            raise
        raise TagBusy("An image was deleted while the promotion was being checked. Retry.") from None


def check_expectations(plan: Plan) -> None:
    """Compare `expected_digests` with where the tags point. Raises TagChanged for the first that is elsewhere.

    A tag that an earlier attempt has put is compared with where it was before that. For a rollback, a tag that was
    already restored counts as restored. The lease is granted only if the tags are still there, so that this holds
    until they are put.
    """
    promotion = plan.promotion
    for tag, expected in promotion.expected_digests.items():
        if tag not in plan.current_digests:
            raise InvalidRequest(
                f"expectedDigests names {tag}, which is not a target tag.", field="expectedDigests"
            )
        current = plan.current_digests[tag]
        before = plan.resumed_moves[tag].previous_digest if tag in plan.resumed_moves else current
        is_restored = promotion.undoes is not None and current == plan.images[tag].digest
        if before != expected and not is_restored:
            raise TagChanged(
                f"Tag {tag} of {promotion.repository.name} is expected at {expected or 'no image'} "
                f"but is at {current or 'no image'}. Read GET /heads before you promote."
            )


def check_gate(plan: Plan, dependencies: Dependencies) -> None:
    """Gather what the rule's gate asks for, and judge it. Rollbacks pass: their images were judged before."""
    gate, promotion = plan.rule.gate, plan.promotion
    if gate is None or promotion.undoes:
        return
    evidence = gather(
        gate,
        promotion.repository,
        plan.manifest,
        registry=dependencies.registry,
        image_facts=dependencies.image_facts,
        reached_at=reached_at(plan, dependencies) if gate.soak else None,
    )
    if refusal := decision.judge(plan.rule, evidence, may_wait=promotion.may_wait, now=dependencies.now()):
        raise refusal


def reached_at(plan: Plan, dependencies: Dependencies) -> datetime | None:
    """Return when the ledger saw the image reach the source tag; None: it did not.

    Raises Superseded where the source tag has moved on while the promotion waited: the image did not soak there.
    """
    tag, wait = plan.promotion.source.image_id.image_tag, plan.promotion.wait
    head = dependencies.heads.head(plan.promotion.repository, tag) if tag else None
    if head and head.image_digest == plan.manifest.digest:
        return head.moved_at
    if wait and wait.reached_at:
        raise Superseded(f"Tag {tag} has moved on from {plan.manifest.digest} while the promotion waited.")
    return None


def check_order(plan: Plan, dependencies: Dependencies) -> None:
    """Raise Superseded where a scan that comes late would move a tag back to an image that was pushed earlier.

    What ECR does not say is not proven: without both times the tag stays where it is.
    """
    promotion, digest = plan.promotion, plan.manifest.digest
    others = {current for current in plan.current_digests.values() if current and current != digest}
    if promotion.trigger is not Trigger.SCAN or not others:
        return
    pushed = dependencies.image_facts.pushed(promotion.repository, [digest, *sorted(others)])
    own = pushed.get(digest)
    for tag, current in plan.current_digests.items():
        if current not in others:
            continue
        its = pushed.get(current)
        if own is None or its is None:
            raise Superseded(
                f"Tag {tag} of {promotion.repository.name} is at {current}, and Amazon ECR does not say whether "
                f"that or {digest} was pushed later. Send a request to put the tag."
            )
        if its > own:
            raise Superseded(
                f"Tag {tag} of {promotion.repository.name} is at {current}, pushed {its:%Y-%m-%dT%H:%M:%SZ}: "
                f"after {digest}, {own:%Y-%m-%dT%H:%M:%SZ}."
            )
