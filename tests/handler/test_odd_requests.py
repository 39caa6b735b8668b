"""No request whatever makes the API answer that it failed: who is allowed in could set off its alarm."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from promoter import wiring
from promoter.aws.dynamodb.freezes import DynamoFreezes
from promoter.aws.dynamodb.history import DynamoHistory
from promoter.aws.dynamodb.table import Table
from tests.handler.conftest import CALLER, REGION, http_event
from tests.support.policies import ACCOUNT
from tests.support.registries import InMemoryRegistry, manifest
from tests.support.tables import EmptyTable

Invoke = Callable[[dict[str, Any]], dict[str, Any]]
OPERATOR = f"arn:aws:sts::{ACCOUNT}:assumed-role/operator/ann"
STRANGER = f"arn:aws:sts::{ACCOUNT}:assumed-role/other/eve"
UUID = "6c1f0f3e-8a51-4b7c-9a3c-0f5d9b1c2d3e"
IMAGE = {"schemaVersion": 2, "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}, "layers": []}
ASK = {"repositoryName": "team/web", "source": {"imageTag": "staging"}}


def encoded(document: Any) -> str:
    """Return a page token of this content."""
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.urlsafe_b64encode(text.encode(errors="surrogatepass")).decode()


class UnhurriedFreezes(DynamoFreezes):
    """Freezes that are in force at once."""

    def spread(self) -> None:
        """Wait for nobody."""


@pytest.fixture
def table(invoke: Invoke, registry: InMemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> EmptyTable:
    """Read and freeze on a table without a network, behind the function."""
    found = EmptyTable()
    empty, in_memory = Table(found.client(), "table", REGION), wiring.dependencies
    monkeypatch.setattr(wiring, "history", lambda: DynamoHistory(empty))
    monkeypatch.setattr(wiring, "dependencies", lambda: replace(in_memory(), history=wiring.history()))
    monkeypatch.setattr(wiring, "freezes", lambda: UnhurriedFreezes(empty))
    registry.tags["staging"] = manifest(json.dumps(IMAGE))
    return found


def send(invoke: Invoke, method: str, path: str, body: str = "", **members: Any) -> tuple[int, dict[str, Any]]:
    """Send a request as API Gateway would; return the status and the document."""
    event = http_event(body) | {"routeKey": f"{method} {path}", "rawPath": path} | members
    event["requestContext"]["http"] |= {"method": method, "path": path}
    answer = invoke(event)
    return answer["statusCode"], json.loads(answer["body"])


ODD_IDS = [
    "\x00",
    "a\nb",
    "💥",
    "é",
    "a b",
    "..",
    "a.b",
    "a" * 65,
    "a" * 3000,
    "\ud800",
    "%00",
    "<id>",
    "{promotionId}",
]


@pytest.mark.parametrize("promotion_id", ODD_IDS)
@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("POST", "/rollback")])
def test_an_odd_promotion_id_is_not_known(
    invoke: Invoke, table: EmptyTable, method: str, tail: str, promotion_id: str
) -> None:
    """404, in a problem document, without asking the table."""
    status, problem = send(invoke, method, f"/promotions/{promotion_id}{tail}")

    assert (status, problem["code"]) == (404, "promotion_not_found")
    assert "promotionId" not in problem
    assert table.asked == []


def test_a_promotion_that_is_not_there_is_told_by_its_id(invoke: Invoke, table: EmptyTable) -> None:
    """An id of the right shape is looked up; a line feed after it makes another path."""
    assert send(invoke, "GET", f"/promotions/{UUID}")[1]["promotionId"] == UUID
    assert len(table.asked) == 1
    assert send(invoke, "GET", f"/promotions/{UUID}\n")[0] == 404
    assert len(table.asked) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/nothing"),
        ("GET", "/freeze\n"),
        ("POST", "/freeze"),
        ("DELETE", "/promotions"),
        ("OPTIONS", "/heads"),
        ("BREW", "/heads"),
        ("GET", "/%00"),
    ],
)
def test_an_unknown_route_is_not_there(invoke: Invoke, method: str, path: str) -> None:
    """404, as a problem document: it is not a mistake of ours."""
    status, problem = send(invoke, method, path)

    assert (status, problem["code"], problem["status"]) == (404, "route_not_found", 404)


def test_a_stage_that_is_not_in_the_path_is_an_unknown_route(invoke: Invoke) -> None:
    """API Gateway puts the stage before the path; where it does not, nothing else is guessed."""
    event = http_event("")
    event["requestContext"] |= {"stage": "production-of-a-long-name"}

    assert invoke(event)["statusCode"] == 404


PLACE = f"{ACCOUNT}/{REGION}/team"
HEADS_KEY = {"pk": {"S": f"heads#{ACCOUNT}/{REGION}/team/web"}, "sk": {"S": "prod"}}
LISTED_KEY = {
    "pk": {"S": f"promotion#{UUID}"},
    "sk": {"S": "record"},
    "listing": {"S": f"{ACCOUNT}/{REGION}/team/web"},
    "listedAt": {"S": f"2026-11-23T12:00:00.000000Z#{UUID}"},
}
ODD_TOKENS = [
    "no token",
    "💥",
    "\ud800",
    "x" * 5000,
    encoded("[" * 3000),
    encoded('{"pk":' * 700 + "1" + "}" * 700),
    encoded("9" * 5000),
    encoded("NaN"),
    encoded([]),
    encoded({}),
    encoded({"pk": {"S": HEADS_KEY["pk"]["S"]}}),
    encoded(HEADS_KEY | {"more": {"S": "x"}}),
    encoded(HEADS_KEY | {"sk": {"N": "1"}}),
    encoded(HEADS_KEY | {"sk": {"S": 1}}),
    encoded(HEADS_KEY | {"sk": {"S": ""}}),
    encoded(HEADS_KEY | {"sk": {"S": "\ud800"}}),
    encoded(HEADS_KEY | {"sk": {"S": "x" * 2049}}),
    encoded(HEADS_KEY | {"sk": {"S": "prod", "N": "1"}}),
    encoded(HEADS_KEY | {"pk": {"S": f"heads#{ACCOUNT}/{REGION}/team/other"}}),
    encoded(HEADS_KEY | {"pk": {"S": f"heads#{ACCOUNT}/us-east-1/team/web"}}),
    encoded(HEADS_KEY | {"pk": {"S": f"history#{ACCOUNT}/{REGION}/team/web#prod"}}),
    encoded(LISTED_KEY | {"listing": {"S": f"{ACCOUNT}/{REGION}/team/other"}}),
    encoded(LISTED_KEY | {"listing": {"S": "open"}}),
    encoded(LISTED_KEY | {"listedAt": {"M": {"x": {"S": "y"}}}}),
]


@pytest.mark.parametrize("token", ODD_TOKENS)
@pytest.mark.parametrize("path", ["/heads", "/promotions"])
def test_only_the_tokens_that_a_question_was_answered_with_are_taken(
    invoke: Invoke, table: EmptyTable, path: str, token: str
) -> None:
    """Nested brackets, other types, the token of another repository or listing: 400, without asking the table."""
    query = {"repositoryName": "team/web", "nextToken": token}

    status, problem = send(invoke, "GET", path, queryStringParameters=query)

    assert (status, problem["code"], problem["field"]) == (400, "invalid_request", "nextToken")
    assert table.asked == []


@pytest.mark.parametrize(("path", "key"), [("/heads", HEADS_KEY), ("/promotions", LISTED_KEY)])
def test_a_token_leads_on_from_where_its_page_ended(
    invoke: Invoke, table: EmptyTable, path: str, key: dict[str, Any]
) -> None:
    """What was given out is taken back."""
    query = {"repositoryName": "team/web", "nextToken": encoded(key)}

    assert send(invoke, "GET", path, queryStringParameters=query)[0] == 200
    assert table.asked[0]["ExclusiveStartKey"] == key


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-24"}, "since"),
        ({"since": "2026-11-24T10:00:00"}, "since"),
        ({"until": "1700000000"}, "until"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"since": "2026-11-24T10:00:00Z", "until": "2026-11-24T11:00:00+01:00"}, "until"),
        ({"since": "\ud800"}, "since"),
        ({"caller": ""}, "caller"),
        ({"caller": "x" * 2049}, "caller"),
        ({"imageDigest": "latest"}, "imageDigest"),
        ({"imageTag": "prod,v1"}, "imageTag"),
        ({"outcome": "\ud800"}, "query"),
        ({"limit": "9" * 5000}, "limit"),
        ({"\ud800": "x"}, "query"),
    ],
)
def test_an_odd_question_is_a_400_that_names_the_parameter(
    invoke: Invoke, table: EmptyTable, query: dict[str, str], field: str
) -> None:
    """A moment has an offset; what is given twice comes with a comma between."""
    asked = {"repositoryName": "team/web"} | query

    status, problem = send(invoke, "GET", "/promotions", queryStringParameters=asked)

    assert (status, problem["code"], problem["field"]) == (400, "invalid_request", field)
    assert table.asked == []


@pytest.mark.parametrize(
    ("query", "condition", "values"),
    [
        ({"since": "2026-11-24T10:00:00Z"}, "listedAt >= :since", {":since": "2026-11-24T10:00:00.000000Z"}),
        ({"until": "2026-11-24T10:00:00 01:00"}, "listedAt < :until", {":until": "2026-11-24T09:00:00.000000Z"}),
        (
            {"since": "2026-11-24T10:00:00Z", "until": "2026-11-24T10:00:00.5Z", "imageTag": "prod"},
            "sk BETWEEN :since AND :until",
            {":since": "2026-11-24T10:00:00.000000Z", ":until": "2026-11-24T10:00:00.500000Z"},
        ),
    ],
)
def test_a_time_span_is_read_and_no_more(
    invoke: Invoke, table: EmptyTable, query: dict[str, str], condition: str, values: dict[str, str]
) -> None:
    """It is part of the key, in UTC; a + that arrives as a space is one."""
    asked = {"repositoryName": "team/web"} | query

    assert send(invoke, "GET", "/promotions", queryStringParameters=asked)[0] == 200

    assert table.asked[0]["KeyConditionExpression"].endswith(condition)
    assert values.items() <= {k: v["S"] for k, v in table.asked[0]["ExpressionAttributeValues"].items()}.items()


@pytest.mark.parametrize(
    ("method", "body", "query"),
    [
        ("PUT", {"reason": "r", "until": "9999-12-31T23:59:59-14:00"}, {}),
        ("PUT", {"reason": "r", "until": "0001-01-01T00:00:00+14:00"}, {}),
        ("PUT", {"reason": "r", "rule": "x" * 100_000}, {}),
        ("DELETE", None, {"rule": "x" * 2000}),
        ("DELETE", None, {"rule": "\ud800"}),
        ("DELETE", None, {"rule": ""}),
    ],
)
def test_an_odd_freeze_is_a_400(
    invoke: Invoke, table: EmptyTable, method: str, body: Any, query: dict[str, str]
) -> None:
    """It never gets as far as the table."""
    identity = {"authorizer": {"iam": {"userArn": OPERATOR}}}
    context = http_event("")["requestContext"] | identity

    status, problem = send(
        invoke, method, "/freeze", json.dumps(body), queryStringParameters=query, requestContext=context
    )

    assert (status, problem["code"]) == (400, "invalid_request")
    assert len(problem["detail"]) < 1000
    assert table.asked == []


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT),
    st.sampled_from(["staging", "prod", "v1", "sha256-" + "a" * 64, "sha256:" + "a" * 64, "team/web", ACCOUNT]),
    st.sampled_from([{"imageTag": "staging"}, {}, [], ["v1", "v2"], {"prod": None}]),
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3), max_leaves=8
)
MEMBERS = st.sampled_from(
    [
        *("repositoryName", "registryId", "source", "imageManifest", "imageManifestMediaType", "imageDigest"),
        *(
            "imageTag",
            "imageTags",
            "target",
            "expectedDigests",
            "dryRun",
            "reason",
            "until",
            "rule",
            "repositories",
        ),
        *("override", "expectedDigest"),
    ]
)
MANIFEST_KEYS = st.sampled_from([*IMAGE, "mediaType", "manifests", "subject", "Config", "fsLayers", "annotations"])
MANIFESTS = st.dictionaries(MANIFEST_KEYS, ANYTHING, max_size=3).map(lambda odd: json.dumps(IMAGE | odd))
DOCUMENTS = st.one_of(
    st.dictionaries(MEMBERS, ANYTHING, max_size=4).map(lambda odd: ASK | odd),
    MANIFESTS.map(lambda text: {"repositoryName": "team/web", "imageManifest": text, "imageTag": "v1"}),
    ANYTHING,
)
BODIES = st.one_of(
    DOCUMENTS.map(json.dumps),
    st.dictionaries(st.sampled_from(["until", "rule", "repositories"]), ANYTHING, max_size=1)
    .map(lambda odd: {"reason": "r"} | odd)
    .map(json.dumps),
    ANY_TEXT,
    st.sampled_from(["", "[" * 5000, '{"a":' * 5000, "\ufeff{}", "{}" * 9, "null"]),
)
PARAMETERS = st.sampled_from(
    [
        *("registryId", "imageTag", "imageDigest", "caller", "outcome", "since", "until", "limit", "nextToken"),
        *("repositories", "rule"),
    ]
)
VALUES = st.one_of(
    ANY_TEXT,
    ANYTHING.map(encoded),
    st.sampled_from([*ODD_TOKENS[:8], encoded(HEADS_KEY), encoded(LISTED_KEY)]),
    st.sampled_from(["prod", "PROMOTED", "20", "*", "2026-11-24T10:00:00Z", "2026-11-24T10:00:00+00:00,x"]),
)
ROUTES = st.sampled_from(
    [
        *[("POST", "/promotions")] * 6,
        *[("GET", "/promotions"), ("GET", "/heads")] * 4,
        *[("GET", f"/promotions/{UUID}"), ("POST", f"/promotions/{UUID}/rollback")] * 2,
        *[("PUT", "/freeze"), ("DELETE", "/freeze"), ("GET", "/freeze")] * 2,
    ]
)
ODD_ROUTES = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    st.one_of(
        st.sampled_from(ODD_IDS).map(lambda odd: f"/promotions/{odd}"),
        ANY_TEXT.map(lambda odd: f"/promotions/{odd}/rollback"),
        ANY_TEXT.map(lambda odd: f"/{odd}"),
        ANY_TEXT,
    ),
)
IDENTITIES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *[{"iam": {"userArn": CALLER}}, {"iam": {"userArn": OPERATOR}}] * 5,
        None,
        {"iam": None},
        {"iam": {"userArn": STRANGER}},
        {"iam": {"userArn": "arn:aws:iam::123456789012:root"}},
        {"jwt": {"claims": {}}},
        {"jwt": {"claims": {"sub": "\ud800", "iss": "https://issuer.example"}}},
    ]
)


@pytest.mark.usefixtures("table")
@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    route=st.one_of(ROUTES, ROUTES, ROUTES, ODD_ROUTES),
    query=st.dictionaries(PARAMETERS, VALUES, max_size=2)
    | st.dictionaries(ANY_TEXT, VALUES, max_size=2)
    | st.none(),
    key=st.none() | ANY_TEXT,
    body=BODIES,
    binary=st.sampled_from([False, False, False, True]),
    identity=IDENTITIES,
)
@example(("POST", "/promotions"), None, None, json.dumps(ASK), False, {"iam": {"userArn": CALLER}})
def test_no_request_makes_the_api_fail(
    invoke: Invoke,
    route: tuple[str, str],
    query: dict[str, str] | None,
    key: str | None,
    body: str,
    binary: bool,
    identity: dict[str, Any] | None,
) -> None:
    """Whatever is sent, the answer is JSON and below 500; what is refused is a problem document with a code."""
    asked = {"repositoryName": "team/web"} | query if query is not None and route[1] != "/freeze" else query
    context = http_event("")["requestContext"] | {"authorizer": identity}

    status, document = send(
        invoke,
        *route,
        body,
        queryStringParameters=asked,
        headers={"idempotency-key": key} if key is not None else None,
        isBase64Encoded=binary,
        requestContext=context,
    )

    assert status < 500
    assert status < 400 or document["code"]
