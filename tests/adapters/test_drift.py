"""One contract: all that tell of a tag that is not where the ledger has it say the same."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from local.aws import LocalAws
from promoter import telemetry
from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.table import Table
from promoter.domain.model import ImageId, Promotion, Source, Trigger
from promoter.entrypoints.http import views
from promoter.promotion.drift_checks import read_tags
from promoter.promotion.reconcile import Reconciler
from promoter.promotion.waiting import resume
from tests.support.announced import entries_of
from tests.support.answers import promote
from tests.support.ledgers import InMemoryRuns, dependencies
from tests.support.policies import policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, manifest
from tests.support.tables import dynamo_roles

IMAGE, OTHER = manifest('{"image": 1}'), manifest('{"image": 2}')


def delete(registry: InMemoryRegistry) -> None:
    del registry.tags["prod"]


def move(registry: InMemoryRegistry) -> None:
    registry.tags["prod"] = OTHER


@pytest.mark.parametrize(("change", "expected"), [(delete, None), (move, OTHER.digest)])
def test_answers_event_and_log_agree_on_where_the_registry_has_a_tag(
    local_aws: LocalAws,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[InMemoryRegistry], None],
    expected: str | None,
) -> None:
    """`GET /heads`, `POST /reconcile`, the announcement and the log: null for a tag that is gone."""
    client, stream = local_aws.client("dynamodb"), io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", stream)
    roles = dynamo_roles(Table(client, table, local_aws.region), lambda: datetime.now(UTC))
    registry = InMemoryRegistry({"build-1": IMAGE})
    here = replace(dependencies(policy(rule()), registry), **roles)
    promote(Promotion("p-1", Trigger.REQUEST, REPOSITORY, Source(ImageId("build-1")), ("prod",)), here)
    key = {"TableName": table, "Key": keys.head(local_aws.region, REPOSITORY, "prod")}
    before = client.get_item(**key)["Item"]
    change(registry)

    done = Reconciler(
        dependencies=here,
        runs=InMemoryRuns(),
        resume=partial(resume, dependencies=here),
        in_time=lambda _: True,
    ).run()

    telemetry.report_reconciled(done, trigger="schedule")
    changed = {"dynamodb": {"NewImage": client.get_item(**key)["Item"], "OldImage": before}}
    (event,) = (json.loads(entry["Detail"]) for entry in entries_of([changed]))
    (logged,) = (line for line in map(json.loads, stream.getvalue().splitlines()) if "drifted" in line)
    (answered,) = views.reconciled(done)["drifted"]
    (head,) = views.compared(read_tags(roles["history"].heads(REPOSITORY).entries, registry))

    assert answered == {
        "registryId": REPOSITORY.registry_id,
        "repositoryName": REPOSITORY.name,
        "imageTag": "prod",
        "recordedDigest": IMAGE.digest,
        "registryDigest": expected,
        "promotionId": "p-1",
    }
    assert logged["drifted"] == [answered]
    assert event == {"version": "1"} | answered
    assert head["drift"]
    told = (head["imageTag"], head["imageDigest"], head["registryDigest"], head["promotionId"])
    assert told == ("prod", IMAGE.digest, expected, "p-1")
