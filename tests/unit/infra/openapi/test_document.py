"""docs/openapi.json says what the function takes and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra import api
from infra.openapi import document, operations, problems
from infra.openapi.operations import OPERATIONS
from tests.unit.test_docs import CODES

FILE = Path(__file__).parents[4] / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text())
DIGEST = f"sha256:{'0' * 64}"
BODY = {"repositoryName": "team/web"}
SOURCE = {"source": {"imageTag": "staging"}}


def test_the_file_is_up_to_date() -> None:
    """It is what `make openapi` writes."""
    assert FILE.read_text() == document.text(), "run `make openapi`"


def test_it_is_a_valid_openapi_document() -> None:
    """OpenAPI 3.1, with its references."""
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_every_route_that_is_deployed_is_described() -> None:
    """No route is missing, and none is described that API Gateway does not have."""
    deployed = {f"{method.value} {path}" for path, methods in api.ROUTES.items() for method in methods}

    assert deployed | {f"POST {api.RECONCILE}"} == OPERATIONS.keys()


def test_a_route_without_a_description_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names it."""
    monkeypatch.setattr(
        document, "OPERATIONS", {key: OPERATIONS[key] for key in OPERATIONS if key != "GET /heads"}
    )

    with pytest.raises(ValueError, match="GET /heads"):
        document.document()


def test_every_code_is_described_at_a_route() -> None:
    """None is left out: a request that has waited may end with any of them."""
    assert {kind.code for each in OPERATIONS.values() for kind in each.errors} == CODES.keys()


def test_an_answer_to_try_again_names_the_header() -> None:
    """`Retry-After` is there wherever one of the codes has it."""
    answers = DOCUMENT["paths"]["/promotions"]["post"]["responses"]

    assert {status for status, answer in answers.items() if "Retry-After" in answer.get("headers", {})} == {
        str(kind.http_status) for kind in problems.PROMOTING if kind.retry_after
    }


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_caller_signs_or_has_a_token(method: str) -> None:
    """Both modes of `authorization`, for every route."""
    assert DOCUMENT["security"] == [{"sigv4": []}, {"jwt": []}]
    assert "security" not in DOCUMENT["paths"]["/promotions"][method]


@pytest.mark.parametrize("key", [key for key, each in OPERATIONS.items() if each.body])
def test_an_example_is_a_valid_body(key: str) -> None:
    """Readers copy it."""
    example = OPERATIONS[key].example
    body = OPERATIONS[key].body

    assert example is not None
    assert body is not None
    validator(body.__name__).validate(example)


@pytest.mark.parametrize(
    ("members", "is_valid"),
    [
        (SOURCE, True),
        (SOURCE | {"imageManifest": None, "imageTag": None}, True),
        ({"imageManifest": "{}", "imageDigest": DIGEST}, True),
        ({}, False),
        ({"source": {}}, False),
        (SOURCE | {"imageManifest": "{}"}, False),
        (SOURCE | {"imageDigest": DIGEST}, False),
        (SOURCE | {"imageTag": "prod", "imageTags": ["prod"]}, False),
        (SOURCE | {"imageTag": "sha256-0"}, False),
        (SOURCE | {"imageTags": ["sha256-0"]}, False),
        (SOURCE | {"expectedDigests": {"sha256-0": None}}, False),
        (SOURCE | {"imageTag": "prod\n"}, False),
        (SOURCE | {"wait": True}, True),
        (SOURCE | {"wait": {"seconds": 1_209_600}, "dryRun": False}, True),
        (SOURCE | {"wait": False, "dryRun": True}, True),
        (SOURCE | {"wait": True, "dryRun": True}, False),
        (SOURCE | {"wait": {"seconds": 60}, "dryRun": True}, False),
        (SOURCE | {"wait": {"seconds": 0}}, False),
        (SOURCE | {"wait": {"seconds": 1_209_601}}, False),
        (SOURCE | {"wait": {"seconds": 60, "more": 1}}, False),
        (SOURCE | {"wait": {}}, False),
        (SOURCE | {"wait": None}, False),
        (SOURCE | {"more": 1}, False),
    ],
)
def test_the_rules_between_members_are_in_the_schema(members: dict[str, Any], *, is_valid: bool) -> None:
    """As the function checks them."""
    assert validator("PromotionBody").is_valid(BODY | members) is is_valid


def test_new_members_of_answers_break_no_client() -> None:
    """A request with a member that is not known is refused, an answer with one is not."""
    schemas = DOCUMENT["components"]["schemas"]

    assert schemas["PromotionBody"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Promotion"]
    assert "additionalProperties" not in schemas["Problem"]


def test_ids_of_operations_are_unique() -> None:
    """Generators of clients name functions by them."""
    names = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]

    assert len(set(names)) == len(names) == len(operations.OPERATIONS)


def validator(name: str) -> Any:
    """Return a validator of one of the document's schemas. `$` does not match before a line's end there."""
    schema = json.loads(json.dumps(DOCUMENT["components"]["schemas"][name]).replace('$"', '\\\\Z"'))
    return jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]})
