"""The ledger on the deployed stack: moves are serialised, recorded, announced and rolled back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest

from local import pusher
from tests.e2e.conftest import Consumer, Image, Stack, ask, eventually


def history(stack: Stack, repository: str, **query: str) -> list[dict[str, Any]]:
    """Return the promotions of all pages of `GET /promotions`."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        asked = urlencode({"repositoryName": repository, "limit": "20"} | query | token)
        status, page = stack.call("GET", f"/promotions?{asked}")
        assert status == 200, page
        found += page["promotions"]
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


def heads(stack: Stack, repository: str) -> dict[str, dict[str, Any]]:
    """Return the heads of `GET /heads` by tag."""
    status, page = stack.call("GET", f"/heads?repositoryName={repository}")
    assert status == 200, page
    return {head["imageTag"]: head for head in page["heads"]}


def test_fifty_promotions_at_once_move_a_tag_one_after_the_other(stack: Stack) -> None:
    """Half by requests, half by scans. Each move starts where the last one ended; all answers agree with it."""
    repository = stack.repository()
    digests = [
        pusher.push_image(stack.aws.registry, repository, f"build-{n}", seed=f"{repository}{n}").digest
        for n in range(50)
    ]
    stack.settle(repository, events=50)  # the pushes' own events
    calls = [
        {"repositoryName": repository, "source": {"imageTag": f"build-{n}"}, "imageTag": "staging"}
        for n in range(0, 50, 2)
    ]
    with ThreadPoolExecutor(16) as pool:
        scans = [pool.submit(stack.scan, repository, digest) for digest in digests[1::2]]
        answers = list(pool.map(stack.post, calls))
    for scan in scans:
        scan.result()

    def by_scan() -> list[dict[str, Any]]:
        return [each for each in history(stack, repository) if each["trigger"] == "scan"]

    def digests_of(ended: list[dict[str, Any]]) -> set[str]:
        return {each["source"]["imageDigest"] for each in ended}

    eventually(by_scan, lambda ended: digests_of(ended) == set(digests[1::2]), seconds=90)
    moves = {
        each["promotionId"]: next(image for image in each["images"] if image["imageTag"] == "staging")
        | {"imageDigest": each["imageDigest"]}
        for each in reversed(history(stack, repository, imageTag="staging", outcome="PROMOTED"))
    }
    assert next(iter(moves.values()))["previousDigest"] is None
    for before, after in pairwise(moves.values()):
        assert after["previousDigest"] == before["imageDigest"]
    assert stack.tags(repository)["staging"] == list(moves.values())[-1]["imageDigest"]
    head = heads(stack, repository)["staging"]
    assert (head["imageDigest"], head["drift"]) == (stack.tags(repository)["staging"], False)
    for status, answer in answers:
        assert (answer["promotionId"] in moves) is (status == 200)
        assert status == 200 or answer["code"] == "tag_busy"
    for ended in by_scan():
        assert ended["outcome"] == "PROMOTED" or ended["code"] == "superseded"


def test_an_event_delivered_ten_times_is_one_promotion_and_one_announcement(
    stack: Stack, consumer: Consumer
) -> None:
    """EventBridge may deliver an event more than once."""
    repository = stack.repository()
    pushed = pusher.push_image(stack.aws.registry, repository, "build-1", seed=repository)
    stack.settle(repository, events=1)
    stack.scan(repository, pushed.digest, announce=False)
    event = {
        "id": str(uuid.uuid4()),
        "source": "aws.ecr",
        "detail-type": "ECR Image Scan",
        "account": stack.aws.account_id,
        "region": stack.aws.region,
        "time": "2026-11-23T12:00:00Z",
        "detail": {
            "scan-status": "COMPLETE",
            "repository-name": repository,
            "image-digest": pushed.digest,
            "image-tags": ["build-1"],
        },
    }
    name, lambda_ = stack.variables["PROMOTER_FUNCTION"], stack.client("lambda")
    with ThreadPoolExecutor(10) as pool:
        payload = json.dumps(event).encode()
        calls = [pool.submit(lambda_.invoke, FunctionName=name, Payload=payload) for _ in range(10)]
    answers = [json.loads(call.result()["Payload"].read()) for call in calls]

    (recorded,) = history(stack, repository)
    told = {each["outcome"] for answer in answers for each in answer.get("promotions", [])}
    assert "PROMOTED" in told
    assert told <= {"PROMOTED", "WAITING"}
    assert recorded["outcome"] == "PROMOTED"
    stack.post({"repositoryName": repository, "source": {"imageTag": "build-1"}, "imageTag": "prod"})
    heard = consumer.heard(repository, 2)  # the stream keeps the order: nothing comes after the last one
    assert [each["detail"]["promotionId"] for each in heard][:-1] == [recorded["promotionId"]]


def test_the_late_scan_of_an_older_image_does_not_move_the_tag_back(stack: Stack) -> None:
    """The promotion is refused as superseded."""
    repository = stack.repository()
    older, newer = (
        pusher.push_image(stack.aws.registry, repository, f"build-{n}", seed=f"{repository}{n}").digest
        for n in (1, 2)
    )
    stack.scan(repository, newer)
    eventually(lambda: stack.tags(repository).get("staging"), lambda digest: digest == newer)

    stack.scan(repository, older)

    refused = eventually(lambda: history(stack, repository, outcome="REFUSED"), bool)
    # By the scan, and by the push if its event came after the scans.
    assert {each["code"] for each in refused} == {"superseded"}
    assert stack.tags(repository)["staging"] == newer


def test_a_promotion_can_be_looked_up(stack: Stack, image: Image) -> None:
    """By its id, in the history of the repository and of the tag, and in the head of the tag."""
    _, answer = stack.post(ask(image.repository))

    status, found = stack.call("GET", f"/promotions/{answer['promotionId']}")

    assert (status, found["outcome"], found["imageDigest"]) == (200, "PROMOTED", image.digest)
    (listed,) = history(stack, image.repository)
    assert history(stack, image.repository, imageTag="prod") == [listed]
    assert listed == {name: found[name] for name in listed}
    assert {"promotionId", "outcome", "imageDigest", "images", "rule", "caller", "endedAt"} <= listed.keys()
    assert history(stack, image.repository, outcome="REFUSED") == []
    assert heads(stack, image.repository)["prod"]["promotionId"] == answer["promotionId"]
    assert stack.call("GET", "/promotions/none")[1]["code"] == "promotion_not_found"


def test_a_tag_that_somebody_else_moves_has_drifted(stack: Stack, image: Image, consumer: Consumer) -> None:
    """`GET /heads` shows it at once; the next reconcile run announces it."""
    stack.post(ask(image.repository))
    elsewhere = pusher.push_image(stack.aws.registry, image.repository, "prod", seed="elsewhere").digest

    head = heads(stack, image.repository)["prod"]
    assert (head["drift"], head["imageDigest"], head["registryDigest"]) == (True, image.digest, elsewhere)

    status, done = stack.call("POST", "/reconcile", {})

    assert status == 200
    found = {"repositoryName": image.repository, "imageTag": "prod", "registryDigest": elsewhere}
    assert [each for each in done["drifted"] if found.items() <= each.items()]
    heard = [each for each in consumer.heard(image.repository, 2) if each["detail-type"] == "Tag Drifted"]
    assert [each["detail"]["registryDigest"] for each in heard] == [elsewhere]


def test_a_promotion_is_rolled_back(stack: Stack, image: Image) -> None:
    """The tag returns to its earlier digest, the record names the promotion, and a repeat changes nothing."""
    first = pusher.push_image(stack.aws.registry, image.repository, "prod", seed="first").digest
    _, promoted = stack.post(ask(image.repository))
    path = f"/promotions/{promoted['promotionId']}/rollback"

    status, undone = stack.call("POST", path)

    assert (status, undone["outcome"], undone["undoes"]) == (200, "PROMOTED", promoted["promotionId"])
    assert stack.tags(image.repository)["prod"] == first
    assert history(stack, image.repository)[0]["undoes"] == promoted["promotionId"]
    assert stack.call("POST", path)[1]["outcome"] == "UNCHANGED"
    pusher.push_image(stack.aws.registry, image.repository, "prod", seed="moved on")
    assert stack.call("POST", path)[1]["code"] == "tag_changed"


def test_a_promotion_of_a_new_tag_cannot_be_rolled_back(stack: Stack, image: Image) -> None:
    """There is no earlier digest; the answer says so."""
    _, promoted = stack.post(ask(image.repository))

    status, problem = stack.call("POST", f"/promotions/{promoted['promotionId']}/rollback")

    assert (status, problem["code"]) == (400, "invalid_request")
    assert "Delete new tags" in problem["detail"]


def test_an_idempotency_key_is_one_promotion(stack: Stack, image: Image) -> None:
    """The same key and body get the first answer, even if the tag moved since. Another body is a conflict."""
    key = ["Idempotency-Key: deploy-7"]
    first = stack.call("POST", "/promotions", ask(image.repository), headers=key)
    pusher.push_image(stack.aws.registry, image.repository, "prod", seed="moved on")

    again = stack.call("POST", "/promotions", ask(image.repository), headers=key)
    other = stack.call("POST", "/promotions", ask(image.repository, imageTag="v1"), headers=key)

    assert first[0] == 200
    assert again == first
    assert (other[0], other[1]["code"]) == (409, "idempotency_conflict")
    assert "v1" not in stack.tags(image.repository)


@pytest.fixture
def frozen(stack: Stack, image: Image) -> Iterator[dict[str, Any]]:
    """Freeze the image's repository."""
    body = {"repositories": image.repository, "reason": "incident 7", "until": "2099-01-01T00:00:00Z"}
    status, freeze = stack.call("PUT", "/freeze", body)
    assert status == 200, freeze
    yield freeze
    stack.call("DELETE", f"/freeze?repositories={image.repository}")


def test_a_freeze_stops_promotions_until_it_is_lifted(stack: Stack, image: Image, frozen: dict[str, Any]) -> None:
    """At once. The refusal says who set the freeze and why."""
    status, problem = stack.post(ask(image.repository))

    assert (status, problem["code"]) == (423, "frozen")
    assert "incident 7" in problem["detail"]
    assert str(frozen["by"]) in problem["detail"]
    assert frozen in stack.call("GET", "/freeze")[1]["freezes"]
    assert "prod" not in stack.tags(image.repository)

    assert stack.call("DELETE", f"/freeze?repositories={image.repository}") == (200, {"lifted": True})
    eventually(lambda: stack.post(ask(image.repository))[0], lambda status: status == 200)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", "/promotions", None, "repositoryName"),
        ("GET", "/promotions?repositoryName=team/x&limit=0", None, "limit"),
        ("GET", "/promotions?repositoryName=team/x&limit=many", None, "limit"),
        ("GET", "/promotions?repositoryName=team/x&outcome=GOOD", None, "outcome"),
        ("GET", "/promotions?repositoryName=team/x&nextToken=x", None, "nextToken"),
        ("GET", "/promotions?repositoryName=team/x&nextToken=eyJwayI6IHsiUyI6ICJ4In19", None, "nextToken"),
        ("GET", "/promotions?repositoryName=team/x&nextToken=eyJwayI6IHsiWCI6ICIxIn19", None, "nextToken"),
        ("GET", "/promotions?repositoryName=team/x&color=red", None, "color"),
        ("GET", "/heads?repositoryName=TEAM", None, "repositoryName"),
        ("PUT", "/freeze", {}, "reason"),
        ("PUT", "/freeze", {"reason": "r", "rule": "none"}, "rule"),
        ("PUT", "/freeze", {"reason": "r", "until": "2020-01-01T00:00:00Z"}, "until"),
        ("PUT", "/freeze", {"reason": "r", "until": "2099-01-01T00:00:00"}, "until"),
        ("PUT", "/freeze", "{", "body"),
        ("DELETE", "/freeze?repositories=UPPER", None, "repositories"),
    ],
)
def test_the_answer_to_an_invalid_request_names_the_field(
    stack: Stack, method: str, path: str, body: Any, field: str
) -> None:
    """400 with a problem document."""
    status, problem = stack.call(method, path, body)

    assert (status, problem["code"], problem["field"]) == (400, "invalid_request", field)


def test_heads_of_a_repository_that_no_rule_names_are_not_answered(stack: Stack) -> None:
    """A caller sees the repositories of the policy only."""
    assert stack.call("GET", "/heads?repositoryName=other/web")[1]["code"] == "not_allowed"


@pytest.fixture
def no_ledger(stack: Stack) -> Iterator[Any]:
    """Make DynamoDB refuse transactions with the error that a test chooses."""

    def refuse(**members: Any) -> None:
        stack.local("faults", {"service": "dynamodb", "operation": "TransactWriteItems"} | members)

    yield refuse
    stack.local("faults", method="DELETE")


@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 400), ("AccessDeniedException", 400), ("InternalServerError", 500)],
)
def test_nothing_moves_without_the_ledger(
    stack: Stack, image: Image, no_ledger: Any, code: str, status: int
) -> None:
    """503: the caller retries."""
    no_ledger(code=code, status=status, times=50)

    got, problem = stack.post(ask(image.repository))

    assert (got, problem["code"]) == (503, "ledger_error")
    assert set(stack.tags(image.repository)) == {"candidate"}


def test_an_event_waits_for_the_ledger(stack: Stack, build: Image, no_ledger: Any) -> None:
    """A later attempt promotes the image."""
    no_ledger(code="InternalServerError", status=500, times=4)

    for platform in build.platforms:
        stack.scan(build.repository, platform)

    eventually(lambda: stack.tags(build.repository), lambda tags: "staging-7" in tags, seconds=60)
    assert [each["outcome"] for each in history(stack, build.repository)] == ["PROMOTED"]


def test_a_promotion_takes_two_ledger_calls_a_repeat_one_and_a_dry_run_none(stack: Stack, image: Image) -> None:
    """As counted by the server, without the freezes, which are read every few seconds."""

    def ledger_calls(**members: Any) -> list[str]:
        stack.local("calls", method="DELETE")
        stack.post(ask(image.repository, **members))
        calls = [call for call in stack.calls() if call["service"] == "dynamodb" and call.get("principal")]
        return [call["operation"] for call in calls if call["operation"] not in {"Query", "GetRecords"}]

    assert ledger_calls(dryRun=True) == []
    assert ledger_calls() == ["TransactWriteItems"] * 2
    assert ledger_calls() == ["TransactWriteItems"]


def test_reconcile_promotes_an_image_whose_events_were_lost(stack: Stack, build: Image) -> None:
    """The scans finish without events, after the push was found waiting for them."""
    table, dynamodb = stack.variables["PROMOTER_TABLE"], stack.client("dynamodb")

    def waiting() -> list[Any]:
        query = f"/promotions?outcome=WAITING&repositoryName={build.repository}"
        return list(stack.call("GET", query)[1]["promotions"])

    (waits,) = eventually(waiting, lambda found: len(found) == 1)
    stack.settle(build.repository, events=1)
    for platform in build.platforms:
        stack.scan(build.repository, platform, announce=False)
    assert "staging" not in stack.tags(build.repository)
    dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": f"promotion#{waits['promotionId']}"}, "sk": {"S": "record"}},
        UpdateExpression="SET listedAt = :due",
        ExpressionAttributeValues={":due": {"S": "2026-01-01T00:00:00.000000Z#"}},
    )

    status, done = stack.call("POST", "/reconcile", {})

    assert (status, done["finished"] > 0, done["failures"]) == (200, True, [])
    assert stack.tags(build.repository)["staging"] == build.digest
    assert waiting() == []
    (recorded,) = history(stack, build.repository)
    assert recorded["promotionId"] == waits["promotionId"]


def test_only_one_reconcile_run_at_a_time(stack: Stack) -> None:
    """A request for a second run gets a 409; a scheduled run is skipped."""
    dynamodb, table = stack.client("dynamodb"), stack.variables["PROMOTER_TABLE"]
    key = {"pk": {"S": "reconcile"}, "sk": {"S": "run"}}
    dynamodb.put_item(
        TableName=table, Item=key | {"holder": {"S": "another"}, "ends": {"S": "2099-01-01T00:00:00.000000Z"}}
    )
    try:
        status, problem = stack.call("POST", "/reconcile")
        skipped = scheduled(stack)
    finally:
        dynamodb.delete_item(TableName=table, Key=key)

    assert (status, problem["code"]) == (409, "reconcile_running")
    assert skipped == {"outcome": "SKIPPED"}
    assert stack.call("POST", "/reconcile")[0] == 200
    assert "settled" in scheduled(stack)


def scheduled(stack: Stack) -> Any:
    """Run reconcile as the schedule does; return the function's answer."""
    answer = stack.client("lambda").invoke(
        FunctionName=stack.variables["PROMOTER_RECONCILER"], Payload=json.dumps({"reconcile": True}).encode()
    )
    return json.loads(answer["Payload"].read())


def test_prod_is_compared_by_every_run_beside_many_write_once_tags(stack: Stack, image: Image) -> None:
    """Write-once tags have an index of their own."""
    dynamodb, table = stack.client("dynamodb"), stack.variables["PROMOTER_TABLE"]
    stack.post(ask(image.repository))
    partition = f"heads#{stack.aws.account_id}/{stack.aws.region}/{image.repository}"
    for number in range(300):
        head = {"pk": partition, "sk": f"old-{number:03}", "digest": image.digest, "promotion": "p"}
        listed = {"listing": "heads-once", "listedAt": partition, "moved": "2026-01-01T00:00:00Z"}
        dynamodb.put_item(TableName=table, Item={name: {"S": text} for name, text in (head | listed).items()})
    pusher.push_image(stack.aws.registry, image.repository, "prod", seed="elsewhere")

    for _ in range(2):
        _, done = stack.call("POST", "/reconcile")
        assert (image.repository, "prod") in {
            (each["repositoryName"], each["imageTag"]) for each in done["drifted"]
        }


def test_a_tag_on_an_archived_image_is_not_moved_and_has_not_drifted(stack: Stack, image: Image) -> None:
    """ECR does not answer the digest of the tag, so it is not moved. Other tags still are."""
    repository = image.repository
    assert stack.post(ask(repository))[1]["outcome"] == "PROMOTED"
    newer = pusher.push_image(stack.aws.registry, repository, "newer", seed="newer")
    ecr = stack.client("ecr")
    archived = {"repositoryName": repository, "imageId": {"imageDigest": image.digest}}
    ecr.update_image_storage_class(**archived, targetStorageClass="ARCHIVE")

    status, problem = stack.post(ask(repository, source={"imageTag": "newer"}))
    assert (status, problem["code"]) == (502, "registry_error")
    assert "archived" in problem["detail"]
    assert stack.post(ask(repository, source={"imageTag": "newer"}, imageTag="v1"))[1]["outcome"] == "PROMOTED"
    prod = heads(stack, repository)["prod"]
    assert (prod["registryDigest"], prod["drift"]) == (None, None)
    assert "ImageInaccessible" in prod["unreadable"]

    ecr.update_image_storage_class(**archived, targetStorageClass="STANDARD")
    stack.local("restores", {"repositoryName": repository, "imageDigest": image.digest})
    assert stack.post(ask(repository, source={"imageTag": "newer"}))[1]["outcome"] == "PROMOTED"
    assert stack.tags(repository)["prod"] == newer.digest
