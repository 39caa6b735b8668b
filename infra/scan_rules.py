"""EventBridge rules that send scans and pushes of the policy's repositories to the queue, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.chunks import chunks
from infra.policy import complexity
from infra.policy.file import PolicyError, PolicyFile

# An event pattern has at most 2,048 characters (EventBridge quotas). 1,800 of them are for repositories. Each
# takes its name, and about 80 characters for its ARN.
ROOM, ARN_ROOM = 1800, 80


class ScanRules(Construct):
    """Rules for both scanners and for pushes, in the repositories of the policy's scan rules.

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
        divided = chunks(scanned_repositories(policy), room=ROOM, size=size_of, fit=is_simple)
        for number, chunk in enumerate(divided, start=1):
            suffix = "" if number == 1 else f"-{number}"
            for scanner, pattern in patterns(chunk, Stack.of(self)).items() if chunk else ():
                events.Rule(self, f"{scanner}{suffix}", event_pattern=pattern, targets=[target])


def scanned_repositories(policy: PolicyFile) -> list[str]:
    """Return the repository globs of the scan rules. Raises PolicyError for a rule of another account.

    Events of other accounts do not arrive here. A policy that was read for this account has no such rule.
    """
    scans = [rule for rule in policy.rules if rule.on == "scan"]
    if foreign := [rule.name for rule in scans if rule.registry is not None]:
        raise PolicyError(f"rule {foreign[0]}: scans of another account's registry send no events here")
    return sorted({complexity.simplest(glob) for rule in scans for glob in rule.repositories})


def size_of(glob: str) -> int:
    """Return the characters that a repository takes in a pattern."""
    return len(glob) + ARN_ROOM


def is_simple(globs: Sequence[str]) -> bool:
    """Say whether EventBridge accepts the globs in one pattern; the ARNs before them make no difference."""
    return complexity.of_globs(globs) <= complexity.SAFE


def patterns(globs: list[str], stack: Stack) -> dict[str, events.EventPattern]:
    """Return the pattern for each kind of event. ECR names a repository by name, Inspector by ARN.

    Pushes matter because a tag or an index may be pushed after the scan.
    """
    arns = [stack.format_arn(service="ecr", resource="repository", resource_name=glob) for glob in globs]
    names = [matcher(glob) for glob in globs]
    return {
        "Pushed": events.EventPattern(
            account=[stack.account],
            source=["aws.ecr"],
            detail_type=["ECR Image Action"],
            detail={
                "action-type": ["PUSH"],
                "result": ["SUCCESS"],
                "image-tag": [{"anything-but": ""}],
                "repository-name": names,
            },
        ),
        "Basic": events.EventPattern(
            account=[stack.account],
            source=["aws.ecr"],
            detail_type=["ECR Image Scan"],
            detail={"scan-status": ["COMPLETE"], "repository-name": names},
        ),
        "Enhanced": events.EventPattern(
            account=[stack.account],
            source=["aws.inspector2"],
            detail_type=["Inspector2 Scan"],
            detail={"scan-status": ["INITIAL_SCAN_COMPLETE"], "repository-name": [matcher(arn) for arn in arns]},
        ),
    }


def matcher(glob: str) -> Any:
    """Return the simplest matcher for a glob: a name, a prefix, or a wildcard.

    Only wildcards count towards the complexity that EventBridge limits.
    """
    if "*" not in glob:
        return glob
    return {"wildcard": glob} if "*" in glob[:-1] else {"prefix": glob[:-1]}
