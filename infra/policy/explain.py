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
from promoter import findings
from promoter.errors import InvalidRequest, NotAllowed, PromoterError
from promoter.model import Evidence, ImageId, Promotion, Reason, Repository, Scan, Source, Subject, Trigger
from promoter.policy import Policy, Rule, load
from promoter.promote import pass_gate

OWN_ACCOUNT = "000000000000"  # stands for the function's, which a policy does not know
PROMOTES, REFUSES, WRONG_USE = 0, 1, 2


@dataclass(frozen=True)
class Question:
    """A wish, and what is known of its image."""

    wish: Promotion
    evidence: Evidence
    now: datetime


def explain(policy: Policy, question: Question) -> Iterator[tuple[str, bool]]:
    """Yield, for each decision, its text of some lines and whether tags would be put."""
    try:
        for wish, rule, tags in decisions(policy, question.wish):
            yield verdict(policy, rule, tags, replace(question, wish=wish))
    except (NotAllowed, InvalidRequest) as refusal:
        yield told(refusal), False


def decisions(policy: Policy, wish: Promotion) -> Iterator[tuple[Promotion, Rule, tuple[str, ...]]]:
    """Yield the rules that would go by the wish, and their tags: for a scan all that serve, for a request one."""
    if wish.trigger is Trigger.REQUEST:
        yield wish, *policy.admit(wish)
        return
    for rule in policy.serving(wish):
        own = replace(wish, rule=rule.name)
        yield own, *policy.admit(own)


def verdict(policy: Policy, rule: Rule, tags: Sequence[str], question: Question) -> tuple[str, bool]:
    """Return what one rule would decide."""
    try:
        policy.thaw(rule, question.wish, now=question.now)
        if rule.gate is not None:
            pass_gate(rule.gate.judge(question.evidence, now=question.now))
    except PromoterError as refusal:
        return f"rule {rule.name} serves it, and would refuse {', '.join(tags)}:\n{told(refusal)}", False
    gate = "which has no gate" if rule.gate is None else "whose gate it passes"
    return f"rule {rule.name} serves it, {gate}: would put {', '.join(tags)}", True


def told(refusal: PromoterError) -> str:
    """Return a refusal with its code and all its reasons."""
    reasons = refusal.reasons or (Reason(refusal.code, refusal.detail),)
    first = f"  {refusal.code}: {refusal.detail}"
    more = [f"  - {reason.sentence}" for reason in reasons if reason.sentence != refusal.detail]
    return "\n".join([first, *more])


def question(options: argparse.Namespace) -> Question:
    """Return what the command line asks."""
    now = options.at or datetime.now(UTC)
    scans = [scan(argument) for argument in options.findings] or [("the image", Scan(None))]
    registry, _, repository = options.repository.rpartition(":")
    return Question(
        wish=Promotion(
            promotion_id="explained",
            trigger=Trigger(options.on),
            repository=Repository(registry or OWN_ACCOUNT, repository),
            source=Source(ImageId(options.tag, options.digest)),
            image_tags=tuple(options.put) or None,
            caller=options.caller,
            asked_at=now,
        ),
        evidence=Evidence(
            subjects=tuple(
                Subject(options.digest or "no digest given", platform, each) for platform, each in scans
            ),
            signed=options.signed,
            pushed_at=now - options.age if options.age is not None else None,
        ),
        now=now,
    )


def scan(argument: str) -> tuple[str, Scan]:
    """Read `[PLATFORM=]FILE`: an answer as `aws ecr describe-image-scan-findings` prints it."""
    platform, _, path = argument.rpartition("=")
    answer = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(answer, dict):
        raise ValueError(f"{path} is no answer of describe-image-scan-findings")  # noqa: TRY004
    return platform or "the image", findings.read(answer)


def arguments() -> argparse.ArgumentParser:
    """Return the command line; README and docs/policy.md show it."""
    parser = argparse.ArgumentParser(prog="make explain", description="What the policy would decide, without AWS.")
    parser.add_argument("--policy", default="promotions.yaml", type=Path, metavar="FILE")
    parser.add_argument("--on", default="request", choices=[*Trigger], help="what asks (default: request)")
    parser.add_argument("--repository", required=True, metavar="[ACCOUNT:]NAME")
    parser.add_argument("--tag", help="the source tag")
    parser.add_argument("--digest", help="the source's digest, if it matters")
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
    parser.add_argument("--age", type=_hours, metavar="HOURS", help="time since the push, for soak")
    parser.add_argument("--at", type=_time, metavar="TIME", help="ISO 8601; default: now")
    return parser


def main(command_line: Sequence[str]) -> int:
    """Print each decision; return 0 if tags would be put, 1 if not, 2 if the question cannot be understood."""
    options = arguments().parse_args(command_line)
    try:
        policy = load(file.read(options.policy).compiled(), registry_id=OWN_ACCOUNT)
        told = list(explain(policy, question(options)))
    except (file.PolicyError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    source = " at ".join(part for part in (options.tag, options.digest) if part) or "an image without a tag"
    asked = "a finished scan" if options.on == "scan" else f"a request of {options.caller or 'nobody named'}"
    print(f"{options.repository}, {source}, on {asked}:")
    for text, _ in told:
        print(text)
    return PROMOTES if any(puts for _, puts in told) else REFUSES


def _hours(text: str) -> timedelta:
    return timedelta(hours=float(text))


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
