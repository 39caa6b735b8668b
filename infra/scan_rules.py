"""EventBridge rules that send the events that start or wake promotions to the queue, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.chunks import chunks
from infra.policy import complexity
from infra.policy.file import PolicyError, PolicyFile
from infra.policy.model import RuleModel
from promoter.domain.rule import matches

# An event pattern has at most 2,048 characters (EventBridge quotas). 1,800 of them are for repositories. Each
# takes its name, and about 80 characters for its ARN.
ROOM, ARN_ROOM = 1800, 80

PUSH = {"action-type": ["PUSH"], "result": ["SUCCESS"]}
EVENTS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    # A tag or an index may be pushed after its scan.
    "Pushed": ("aws.ecr", "ECR Image Action", {**PUSH, "image-tag": [{"anything-but": ""}]}),
    "Basic": ("aws.ecr", "ECR Image Scan", {"scan-status": ["COMPLETE"]}),
    "Enhanced": ("aws.inspector2", "Inspector2 Scan", {"scan-status": ["INITIAL_SCAN_COMPLETE"]}),
    # The tags of cosign's signatures.
    "Signed": ("aws.ecr", "ECR Image Action", {**PUSH, "image-tag": [{"wildcard": "sha256-*.sig"}]}),
    # Signatures that refer to their image. AWS does not say which artifact-media-type their events have.
    "Referred": ("aws.ecr", "ECR Referrer Action", PUSH),
}
"""The source, detail-type and detail of each kind of event (Amazon ECR user guide, "Amazon ECR events and
EventBridge"; Amazon Inspector user guide, "EventBridge schema"), beside the names of the repositories."""


class ScanRules(Construct):
    """Rules for scans, pushes and signatures, each in the repositories of the policy's rules that need it.

    Each kind of event has more than one rule if one event pattern has no room for all repositories, or if their
    wildcards are too complex together.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        policy: PolicyFile,
        events_queue: sqs.IQueue,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        target = targets.SqsQueue(
            events_queue, dead_letter_queue=undelivered, max_event_age=Duration.hours(24), retry_attempts=185
        )
        for kind, globs in listened(policy).items():
            divided = chunks(globs, room=ROOM, size=size_of, fit=is_simple)
            for number, chunk in enumerate(filter(None, divided), start=1):
                suffix = "" if number == 1 else f"-{number}"
                pattern = pattern_of(kind, chunk, Stack.of(self))
                events.Rule(self, f"{kind}{suffix}", event_pattern=pattern, targets=[target])


def listened(policy: PolicyFile) -> dict[str, list[str]]:
    """Return the repository globs for each kind of event.

    Raises PolicyError for a scan rule of another account, which a policy read for this account does not have.
    """
    if foreign := [rule.name for rule in policy.rules if rule.on == "scan" and rule.registry is not None]:
        raise PolicyError(f"rule {foreign[0]}: scans of another account's registry send no events here")
    own = [rule for rule in policy.rules if rule.registry is None]
    found = {kind: globs_of(rule for rule in own if kind in needed_by(rule)) for kind in EVENTS}
    found["Signed"] = [glob for glob in found["Signed"] if not is_covered(glob, found["Pushed"])]
    return found


def needed_by(rule: RuleModel) -> set[str]:
    """Return the kinds of events that a rule needs.

    Scans and pushes start the promotions of scan rules. Scans also wake the requests that wait for them, and
    signatures wake whatever waits for a signature: as a referrer (ECR managed signing, Notation, cosign 3), or by
    tag (cosign 2), which is not a signature by one of the gate's profiles.
    """
    kinds = {"Pushed", "Basic", "Enhanced"} if rule.on == "scan" else set()
    if rule.gate and rule.gate.findings is not None:
        kinds |= {"Basic", "Enhanced"}
    if rule.gate and rule.gate.signed:
        kinds |= {"Referred"} if rule.gate.signed.profiles else {"Referred", "Signed"}
    return kinds


def globs_of(rules: Iterable[RuleModel]) -> list[str]:
    """Return the repository globs of the rules as EventBridge accepts them, without those that others cover."""
    found = sorted({acceptable(glob) for rule in rules for glob in rule.repositories})
    return [glob for glob in found if not is_covered(glob, [other for other in found if other != glob])]


def acceptable(glob: str) -> str:
    """Return the glob, or its part up to the first star if EventBridge would refuse it as too complex.

    The policy's check refuses such a glob in scan rules. A wider glob brings events that wake nothing.
    """
    simple = complexity.simplest(glob)
    return simple if is_simple([simple]) else f"{simple.partition('*')[0]}*"


def is_covered(glob: str, others: Iterable[str]) -> bool:
    """Say whether one of the globs surely matches all that this one matches: a star is matched by stars only."""
    return any(matches(glob, other) for other in others)


def size_of(glob: str) -> int:
    """Return the characters that a repository takes in a pattern."""
    return len(glob) + ARN_ROOM


def is_simple(globs: Sequence[str]) -> bool:
    """Say whether EventBridge accepts the globs in one pattern; the ARNs before them make no difference."""
    return complexity.of_globs(globs) <= complexity.SAFE


def pattern_of(kind: str, globs: Sequence[str], stack: Stack) -> events.EventPattern:
    """Return the pattern for a kind of event. ECR names a repository by name, Inspector by ARN."""
    source, detail_type, detail = EVENTS[kind]
    named = globs
    if source == "aws.inspector2":
        named = [stack.format_arn(service="ecr", resource="repository", resource_name=glob) for glob in globs]
    return events.EventPattern(
        account=[stack.account],
        source=[source],
        detail_type=[detail_type],
        detail={**detail, "repository-name": [matcher(name) for name in named]},
    )


def matcher(glob: str) -> Any:
    """Return the simplest matcher for a glob: a name, a prefix, or a wildcard.

    Only wildcards count towards the complexity that EventBridge limits.
    """
    if "*" not in glob:
        return glob
    return {"wildcard": glob} if "*" in glob[:-1] else {"prefix": glob[:-1]}
