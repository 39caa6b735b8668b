"""EventBridge rules: scans and pushes in the policy's repositories reach the queue, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.policy import complexity
from infra.policy.file import PolicyError, PolicyFile
from infra.portions import portions

# An event pattern has at most 2,048 characters (EventBridge quotas): so many are for repositories, and each
# takes its name and about 80 for the ARN around it.
ROOM, ARN_ROOM = 1800, 80


class ScanRules(Construct):
    """Rules for both scanners and for pushes, in the repositories of the policy's scan rules.

    More of them where the repositories are too many, or their wildcards too complex, for one event pattern.
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
        divided = portions(scanned(policy), room=ROOM, size=room_of, fit=is_simple)
        for number, portion in enumerate(divided, start=1):
            suffix = "" if number == 1 else f"-{number}"
            for scanner, pattern in patterns(portion, Stack.of(self)).items() if portion else ():
                events.Rule(self, f"{scanner}{suffix}", event_pattern=pattern, targets=[target])


def scanned(policy: PolicyFile) -> list[str]:
    """Return the repository globs of the scan rules. Raises PolicyError for those of another account.

    Their events do not come here; what is read for a deployment to a known account has none.
    """
    scans = [rule for rule in policy.rules if rule.on == "scan"]
    if foreign := [rule.name for rule in scans if rule.registry is not None]:
        raise PolicyError(f"rule {foreign[0]}: scans of another account's registry send no events here")
    return sorted({complexity.simplest(glob) for rule in scans for glob in rule.repositories})


def room_of(glob: str) -> int:
    """Return how much of a pattern a repository takes."""
    return len(glob) + ARN_ROOM


def is_simple(globs: Sequence[str]) -> bool:
    """Say whether EventBridge takes the globs in one pattern; ARNs before them make no difference."""
    return complexity.of_globs(globs) <= complexity.SAFE


def patterns(globs: list[str], stack: Stack) -> dict[str, events.EventPattern]:
    """Return the pattern for each kind of event. ECR names a repository by name, Inspector by ARN.

    A push by tag matters because the tag, or the index, may come after the scan.
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
    """Return EventBridge's simplest way to say a name: as it is, as a prefix, or with wildcards.

    Prefixes cost nothing where wildcards are counted.
    """
    if "*" not in glob:
        return glob
    return {"wildcard": glob} if "*" in glob[:-1] else {"prefix": glob[:-1]}
