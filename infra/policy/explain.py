"""`python -m infra.policy.explain`: what the policy would decide, without AWS; `make explain` calls it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infra.policy import file
from promoter.aws.ecr import scan_results
from promoter.domain.errors import InvalidRequest, NotAllowed, PromoterError
from promoter.domain.gate import Gate
from promoter.domain.model import Evidence, ImageId, Promotion, Reason, Repository, Scan, Source, Subject, Trigger
from promoter.domain.policy import Policy, Rule, load
from promoter.promotion.preflight import refusal

NAMELESS = "an image without a tag"
OWN_ACCOUNT = "000000000000"  # stands for the function's, which a policy does not know
PROMOTES, REFUSES, WRONG_USE = 0, 1, 2


@dataclass(frozen=True)
class Question:
    """A promotion, and what is known of its image; `signers` are the profiles by which ECR has signed it."""

    promotion: Promotion
    evidence: Evidence
    signers: frozenset[str]
    now: datetime


def explain(policy: Policy, question: Question) -> Iterator[tuple[str, bool]]:
    """Yield, for each decision, its text of some lines and whether tags would be put."""
    try:
        for promotion, rule, tags in decisions(policy, question.promotion):
            yield verdict(policy, rule, tags, replace(question, promotion=promotion))
    except (NotAllowed, InvalidRequest) as refused:
        yield refusal_text(refused), False


def decisions(policy: Policy, promotion: Promotion) -> Iterator[tuple[Promotion, Rule, tuple[str, ...]]]:
    """Yield the rules that would serve the promotion, with their tags: all of them for a scan, one for a request.

    Raises ValueError where that takes the digest, which the function would look up.
    """
    needing = [rule.name for rule in policy.serving(promotion) if rule.needs_digest]
    if needing and not promotion.source.image_digest:
        raise ValueError(f"rule {needing[0]} makes a tag of the digest: add --digest")
    if promotion.trigger is Trigger.REQUEST:
        yield promotion, *policy.admit(promotion)
        return
    for rule in policy.serving(promotion):
        own = replace(promotion, rule=rule.name)
        yield own, *policy.admit(own)


def verdict(policy: Policy, rule: Rule, tags: Sequence[str], question: Question) -> tuple[str, bool]:
    """Return what one rule would decide."""
    try:
        policy.check_not_frozen(rule, question.promotion, now=question.now)
        if rule.gate is not None and (reasons := rule.gate.judge(evidence(rule.gate, question), now=question.now)):
            raise refusal(reasons, question.promotion.trigger)
    except PromoterError as refused:
        return f"rule {rule.name} serves it, and would refuse {', '.join(tags)}:\n{refusal_text(refused)}", False
    gate = "which has no gate" if rule.gate is None else "whose gate it passes"
    return f"rule {rule.name} serves it, {gate}: would put {', '.join(tags)}", True


def evidence(gate: Gate, question: Question) -> Evidence:
    """Return what this gate would be shown: where it names signing profiles, only whether one of these signed."""
    if gate.signing_profiles:
        return replace(question.evidence, signed=not question.signers.isdisjoint(gate.signing_profiles))
    return question.evidence


def refusal_text(refused: PromoterError) -> str:
    """Return a refusal with its code and all its reasons."""
    reasons = refused.reasons or (Reason(refused.code, refused.detail),)
    first = f"  {refused.code}: {refused.detail}"
    more = [f"  - {reason.sentence}" for reason in reasons if reason.sentence != refused.detail]
    return "\n".join([first, *more])


def question(options: argparse.Namespace) -> Question:
    """Return what the command line asks."""
    now, source = options.at, ImageId(options.tag, options.digest)
    pushed_at = now - options.age if options.age is not None else None
    images = [image(argument) for argument in options.findings] or [("the image", None, Scan(None))]
    registry, _, repository = options.repository.rpartition(":")
    return Question(
        promotion=Promotion(
            promotion_id="explained",
            trigger=Trigger(options.on),
            repository=Repository(registry or OWN_ACCOUNT, repository),
            source=Source(source),
            image_tags=tuple(options.put) or None,
            caller=options.caller,
            asked_at=now,
        ),
        evidence=Evidence(
            subjects=tuple(
                Subject(digest or f"{source}" or NAMELESS, platform, scan, pushed_at)
                for platform, digest, scan in images
            ),
            signed=options.signed or bool(options.signed_by),
            pushed_at=pushed_at,
        ),
        signers=frozenset(options.signed_by),
        now=now,
    )


def image(argument: str) -> tuple[str, str | None, Scan]:
    """Read `[PLATFORM=]FILE`, as `aws ecr describe-image-scan-findings` prints it: platform, digest and scan."""
    platform, _, path = argument.rpartition("=")
    answer = json.loads(Path(path).read_text(encoding="utf-8"))
    try:
        return platform or "the image", answer.get("imageId", {}).get("imageDigest"), scan_results.read(answer)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no answer of describe-image-scan-findings") from error


def arguments(now: datetime) -> argparse.ArgumentParser:
    """Return the command line; README and docs/reference/policy.md show it."""
    parser = argparse.ArgumentParser(prog="make explain", description="What the policy would decide, without AWS.")
    parser.add_argument("--policy", default="promotions.yaml", type=Path, metavar="FILE")
    parser.add_argument("--on", default="request", choices=[*Trigger], help="what asks (default: request)")
    parser.add_argument("--repository", required=True, metavar="[ACCOUNT:]NAME")
    parser.add_argument("--tag", help="the source tag")
    parser.add_argument("--digest", help="the source's digest; needed where tags are made of it")
    parser.add_argument("--put", action="append", default=[], metavar="TAG", help="a tag that the request names")
    parser.add_argument("--caller", help="the request's IAM ARN, github:… or jwt:…")
    parser.add_argument(
        "--findings",
        action="append",
        default=[],
        metavar="[PLATFORM=]FILE",
        help="what aws ecr describe-image-scan-findings printed; once for each platform",
    )
    parser.add_argument("--signed", action="store_true", help="the image has a signature")
    parser.add_argument(
        "--signed-by",
        action="append",
        default=[],
        metavar="ARN",
        help="a signing profile by which ECR managed signing has signed the image",
    )
    parser.add_argument("--age", type=_hours, metavar="HOURS", help="time since the push, for soak")
    parser.add_argument("--at", type=_time, default=now, metavar="TIME", help="ISO 8601; default: now")
    return parser


def main(command_line: Sequence[str]) -> int:
    """Print each decision; return 0 if tags would be put, 1 if not, 2 if the question cannot be understood."""
    now = datetime.now(UTC)
    options = arguments(now).parse_args(command_line)
    as_of = min(options.at, now).astimezone(UTC).date()  # what will have expired still stands in the policy
    try:
        policy = load(file.read(options.policy, today=as_of).compiled(), registry_id=OWN_ACCOUNT)
        explained = list(explain(policy, question(options)))
    except (file.PolicyError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    source = f"{ImageId(options.tag, options.digest)}" or NAMELESS
    asked = "a finished scan" if options.on == "scan" else f"a request of {options.caller or 'nobody named'}"
    print(f"{options.repository}, {source}, on {asked}:")
    for text, _ in explained:
        print(text)
    return PROMOTES if any(puts for _, puts in explained) else REFUSES


def _hours(text: str) -> timedelta:
    return timedelta(hours=float(text))


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
