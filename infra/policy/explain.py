"""`python -m infra.policy.explain`: what the policy would decide, without AWS; `make explain` calls it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infra.policy import file
from promoter.aws.ecr import scan_results
from promoter.domain.decision import Decision, by_rule, decide, judge, needing_digest
from promoter.domain.errors import NotAllowed, PromoterError
from promoter.domain.findings import Evidence, Scan, Subject
from promoter.domain.gate import Gate
from promoter.domain.model import ImageId, Promotion, Reason, Repository, Source, Trigger
from promoter.domain.policy import Policy, load

NAMELESS = "an image without a tag"
OWN_ACCOUNT = "000000000000"  # in place of the function's account, which the policy does not name
PROMOTES, REFUSES, WRONG_USE = 0, 1, 2


@dataclass(frozen=True)
class Question:
    """A promotion and the evidence on its image; `signers` are the profiles with which ECR signed the image."""

    promotion: Promotion
    evidence: Evidence
    signers: frozenset[str]
    now: datetime


@dataclass(frozen=True)
class Verdict:
    """What the function would decide: by which rule and onto which tags, or why not."""

    decision: Decision | None
    refusal: PromoterError | None

    def __str__(self) -> str:
        if self.decision is None:
            return _lines(self.refusal) if self.refusal else ""
        rule, tags = self.decision.rule, ", ".join(self.decision.image_tags)
        if self.refusal:
            return f"rule {rule.name} applies and would refuse {tags}:\n{_lines(self.refusal)}"
        gate = "has no gate" if rule.gate is None else "its gate passes"
        return f"rule {rule.name} applies and {gate}: would put {tags}"


def explain(policy: Policy, question: Question) -> Iterator[Verdict]:
    """Yield what each rule that would serve a scan decides, or the one verdict on a request.

    The function itself decides by `decide` and `judge`. Raises ValueError where that takes the digest, which the
    function would look up.
    """
    try:
        if rules := needing_digest(question.promotion, policy):
            raise ValueError(f"rule {rules[0].name} makes a tag from the digest: add --digest")
        for promotion in _promotions(question.promotion, policy):
            yield verdict(policy, replace(question, promotion=promotion))
    except NotAllowed as refusal:
        yield Verdict(None, refusal)


def _promotions(promotion: Promotion, policy: Policy) -> Iterable[Promotion]:
    """Return what would be carried out: by each rule that serves a scan, by one rule for a request."""
    return by_rule(promotion, policy) if promotion.trigger is Trigger.SCAN else [promotion]


def verdict(policy: Policy, question: Question) -> Verdict:
    """Return what the function would decide on one promotion."""
    promotion, now = question.promotion, question.now
    try:
        decision = decide(promotion, policy, now=now)
    except PromoterError as refusal:
        return Verdict(None, refusal)
    gate = decision.rule.gate
    shown = evidence(gate, question) if gate else question.evidence
    return Verdict(decision, judge(decision.rule, shown, may_wait=promotion.may_wait, now=now))


def evidence(gate: Gate, question: Question) -> Evidence:
    """Return the evidence for a gate: if it names signing profiles, only their signatures count."""
    if gate.signing_profiles:
        return question.evidence._replace(signed=not question.signers.isdisjoint(gate.signing_profiles))
    return question.evidence


def _lines(refused: PromoterError) -> str:
    """Return a refusal with its code and all its reasons."""
    reasons = refused.reasons or (Reason(refused.code, refused.detail),)
    first = f"  {refused.code}: {refused.detail}"
    more = [f"  - {reason.sentence}" for reason in reasons if reason.sentence != refused.detail]
    return "\n".join([first, *more])


def question(options: argparse.Namespace) -> Question:
    """Return the question that the command line asks."""
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
    """Read `[PLATFORM=]FILE`, the output of `aws ecr describe-image-scan-findings`: platform, digest, scan."""
    platform, _, path = argument.rpartition("=")
    answer = json.loads(Path(path).read_text(encoding="utf-8"))
    try:
        return platform or "the image", answer.get("imageId", {}).get("imageDigest"), scan_results.read(answer)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{path} is not an output of aws ecr describe-image-scan-findings") from error


def arguments(now: datetime) -> argparse.ArgumentParser:
    """Return the command line; docs/how-to/write-a-policy.md shows it."""
    parser = argparse.ArgumentParser(
        prog="make explain", description="Says what the policy would decide, without AWS."
    )
    parser.add_argument("--policy", default="promotions.yaml", type=Path, metavar="FILE")
    parser.add_argument("--on", default="request", choices=[*Trigger], help="the trigger (default: request)")
    parser.add_argument("--repository", required=True, metavar="[ACCOUNT:]NAME")
    parser.add_argument("--tag", help="the source tag")
    parser.add_argument("--digest", help="the source's digest, if tags are made from it")
    parser.add_argument("--put", action="append", default=[], metavar="TAG", help="a tag that the request names")
    parser.add_argument("--caller", help="the request's IAM ARN, github:… or jwt:…")
    parser.add_argument(
        "--findings",
        action="append",
        default=[],
        metavar="[PLATFORM=]FILE",
        help="output of aws ecr describe-image-scan-findings; one for each platform",
    )
    parser.add_argument("--signed", action="store_true", help="the image has a signature")
    parser.add_argument(
        "--signed-by",
        action="append",
        default=[],
        metavar="ARN",
        help="a signing profile with which ECR managed signing has signed the image",
    )
    parser.add_argument("--age", type=_hours, metavar="HOURS", help="time since the push, for soak")
    parser.add_argument("--at", type=_time, default=now, metavar="TIME", help="ISO 8601; default: now")
    return parser


def main(command_line: Sequence[str]) -> int:
    """Print each decision; return 0 if the policy would promote, 1 if not, 2 for a wrong question."""
    now = datetime.now(UTC)
    options = arguments(now).parse_args(command_line)
    try:
        # An exception that expires later is still in the policy.
        as_of = min(options.at, now).astimezone(UTC).date()
        policy = load(file.read(options.policy, today=as_of).compiled(), registry_id=OWN_ACCOUNT)
        verdicts = list(explain(policy, question(options)))
    except (file.PolicyError, OSError, ValueError, OverflowError, RecursionError) as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    source = f"{ImageId(options.tag, options.digest)}" or NAMELESS
    asked = "a finished scan" if options.on == "scan" else f"a request of {options.caller or 'an unnamed caller'}"
    print(f"{options.repository}, {source}, on {asked}:")
    for each in verdicts:
        print(each)
    return PROMOTES if any(each.refusal is None for each in verdicts) else REFUSES


def _hours(text: str) -> timedelta:
    try:
        return timedelta(hours=float(text))
    except OverflowError as error:
        raise argparse.ArgumentTypeError(f"{text} hours are longer than there has been time") from error


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
