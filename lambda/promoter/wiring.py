"""Builds the real adapters, once and on first use."""

from __future__ import annotations

import functools
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.heads import DynamoHeads
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.ledger import DynamoLedger
from promoter.aws.dynamodb.table import Table
from promoter.aws.dynamodb.waiting import DynamoWaitingPromotions
from promoter.aws.dynamodb.wake_ups import DynamoWakeUps
from promoter.aws.ecr.image_facts import EcrImageFacts
from promoter.aws.ecr.registry import EcrRegistry
from promoter.domain.limits import CALL_TRIES, CONNECT_SECONDS, LONGEST_CALL_SECONDS, READ_SECONDS
from promoter.domain.policy import Policy, load
from promoter.promotion.dependencies import Dependencies
from promoter.promotion.evidence import SCANS_AT_ONCE
from promoter.settings import AnnouncerSettings, EventSettings, Settings

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

    from promoter.aws.dynamodb.reconcile_runs import DynamoReconcileRuns
    from promoter.aws.event_bus import Announcer
    from promoter.aws.event_queue import EventQueue

CLIENT = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": CALL_TRIES},
    max_pool_connections=SCANS_AT_ONCE,
)
LONGEST_CALL = timedelta(seconds=LONGEST_CALL_SECONDS)
"""After that no part of a call is on its way."""


@functools.cache
def policy() -> Policy:
    """Load the compiled policy that ships beside the code."""
    settings = Settings.read()
    return load(json.loads(settings.policy_file.read_bytes()), registry_id=settings.registry_id)


@functools.cache
def registry() -> EcrRegistry:
    """Connect to Amazon ECR in the function's own Region."""
    return EcrRegistry(_ecr(), longest_put=LONGEST_CALL)


@functools.cache
def image_facts() -> EcrImageFacts:
    """Ask the same Amazon ECR for what is known of images."""
    return EcrImageFacts(_ecr())


@functools.cache
def ledger() -> DynamoLedger:
    """Lease and record in the function's table."""
    settings = Settings.read()
    return DynamoLedger(_table(), lease_duration=settings.lease_duration, history=settings.history)


@functools.cache
def dependencies() -> Dependencies:
    """Put together what a promotion touches."""
    settings = Settings.read()
    return Dependencies(
        policy=policy(),
        registry=registry(),
        image_facts=image_facts(),
        ledger=ledger(),
        heads=DynamoHeads(_table()),
        history=history(),
        freezes=freezes(),
        waiting=DynamoWaitingPromotions(_table()),
        wake_ups=DynamoWakeUps(_table()),
        patience=settings.patience,
        operators=settings.operators,
    )


@functools.cache
def history() -> DynamoHistory:
    """Read what was recorded."""
    return DynamoHistory(_table())


@functools.cache
def freezes() -> DynamoFreezes:
    """Read, set and lift freezes. There is one object, so that it knows at once what it has set."""
    return DynamoFreezes(_table())


@functools.cache
def reconcile_runs() -> DynamoReconcileRuns:
    """Remember how far reconcile has come; only the reconciler needs it."""
    from promoter.aws.dynamodb.reconcile_runs import DynamoReconcileRuns

    return DynamoReconcileRuns(_table())


@functools.cache
def announcer() -> Announcer:
    """Connect to EventBridge, and to the queue of what it does not take; only the table's stream needs it."""
    from promoter.aws.event_bus import Announcer
    from promoter.aws.event_queue import DeadLetterQueue

    queue = DeadLetterQueue(boto3.client("sqs", config=CLIENT), url=AnnouncerSettings.read().unannounced_queue)
    return Announcer(boto3.client("events", config=CLIENT), queue)


@functools.cache
def event_queue() -> EventQueue:
    """Connect to the queue that events come from. Only an event that fails or takes too long needs it."""
    from promoter.aws.event_queue import EventQueue

    settings = EventSettings.read()
    return EventQueue(
        boto3.client("sqs", config=CLIENT),
        url=settings.queue,
        failed_url=settings.failed_queue,
        tries=settings.tries,
        retry=settings.retry,
    )


@functools.cache
def _ecr() -> ECRClient:
    return boto3.client("ecr", config=CLIENT)


@functools.cache
def _table() -> Table:
    settings = Settings.read()
    return Table(boto3.client("dynamodb", config=CLIENT), settings.table, settings.region)
