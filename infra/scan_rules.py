"""EventBridge rules: scans and pushes in the policy's repositories reach the queue, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.policy.file import PolicyFile
from infra.portions import portions

# An event pattern has at most 2,048 characters (EventBridge quotas): so many are for repositories, and each
# takes its name and about 80 for the ARN around it.
ROOM, ARN_ROOM = 1800, 80


class ScanRules(Construct):
    """Rules for both scanners and for pushes, for each registry that the policy's scan rules name.

    More of them where the repositories are too many for one event pattern.
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
        for registry, globs in scanned(policy, Stack.of(self).account).items():
            own = "" if registry == Stack.of(self).account else registry
            for number, portion in enumerate(portions(globs, room=ROOM, size=room_of), start=1):
                suffix = own if number == 1 else f"{own}-{number}"
                for scanner, pattern in patterns(registry, portion, Stack.of(self)).items():
                    events.Rule(self, f"{scanner}{suffix}", event_pattern=pattern, targets=[target])


def scanned(policy: PolicyFile, account: str) -> Mapping[str, list[str]]:
    """Return the repository globs of the scan rules by registry."""
    globs: dict[str, set[str]] = {}
    for rule in policy.rules:
        if rule.on == "scan":
            globs.setdefault(rule.registry or account, set()).update(rule.repositories)
    return {registry: sorted(names) for registry, names in globs.items()}


def room_of(glob: str) -> int:
    """Return how much of a pattern a repository takes."""
    return len(glob) + ARN_ROOM


def patterns(registry: str, globs: list[str], stack: Stack) -> dict[str, events.EventPattern]:
    """Return the pattern for each kind of event. ECR names a repository by name, Inspector by ARN.

    A push by tag matters because the tag, or the index, may come after the scan.
    """
    arns = [
        stack.format_arn(service="ecr", account=registry, resource="repository", resource_name=glob)
        for glob in globs
    ]
    names = [matcher(glob) for glob in globs]
    return {
        "Pushed": events.EventPattern(
            account=[registry],
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
            account=[registry],
            source=["aws.ecr"],
            detail_type=["ECR Image Scan"],
            detail={"scan-status": ["COMPLETE"], "repository-name": names},
        ),
        "Enhanced": events.EventPattern(
            account=[registry],
            source=["aws.inspector2"],
            detail_type=["Inspector2 Scan"],
            detail={"scan-status": ["INITIAL_SCAN_COMPLETE"], "repository-name": [matcher(arn) for arn in arns]},
        ),
    }


def matcher(glob: str) -> Any:
    """Return EventBridge's way to say a name or, with `*`, a wildcard; it allows no two `*` in a row."""
    while "**" in glob:
        glob = glob.replace("**", "*")
    return {"wildcard": glob} if "*" in glob else glob
