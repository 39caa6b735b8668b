"""`python -m infra.openapi.document`: prints the OpenAPI document; `make openapi` writes docs/openapi.json."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from msgspec import Struct

from infra.openapi import answers, problems, shapes
from infra.openapi.operations import OPERATIONS, Operation
from promoter.domain.errors import PromoterError
from promoter.entrypoints.http.routes import ROUTES

Json = dict[str, Any]

VERSION = "1"
"""Of the API. New routes, members and codes come without a new version."""

DESCRIPTION = (
    "Puts tags on container images in Amazon ECR, by a policy that lives in git. Every request is signed with "
    "SigV4 for the service `execute-api`. With the setting `authorization: jwt` it has a bearer token instead."
)
SERVER = {
    "url": "https://{apiId}.execute-api.{region}.amazonaws.com",
    "description": "The output `ApiUrl` of the stack.",
    "variables": {"apiId": {"default": "API_ID"}, "region": {"default": "eu-central-1"}},
}
SECURITY = {
    "sigv4": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "A signature with SigV4, service `execute-api` (`authorization: iam`).",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "jwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the issuer `jwtIssuer` (`authorization: jwt`).",
    },
}
PARAMETERS = {
    "promotionId": {
        "name": "promotionId",
        "in": "path",
        "required": True,
        "description": "The id of a promotion, from its answer, its announcement or a list.",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes a repeat safe: the same principal, key and body get the first answer.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
}
RETRY_AFTER = {
    "description": "Seconds to wait before the same request is sent again.",
    "schema": {"type": "integer"},
}


def document() -> Json:
    """Return the document. Raises ValueError if a route and its description do not match."""
    paths: dict[str, Json] = {}
    for method, path, serve in routes():
        paths.setdefault(path, {})[method.lower()] = operation(path, serve, OPERATIONS[f"{method} {path}"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ecr-promoter",
            "version": VERSION,
            "summary": "Promotions of container images in Amazon ECR",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [SERVER],
        "security": [{name: []} for name in SECURITY],
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in OPERATIONS.values())],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "parameters": PARAMETERS,
            "responses": {str(status): _gateway(status) for status in problems.GATEWAY},
            "securitySchemes": SECURITY,
        },
    }


def routes() -> list[tuple[str, str, Callable[..., Any]]]:
    """Return the function's routes, with paths as OpenAPI and API Gateway write them."""
    found = [(method, _path(path), serve) for method, path, serve, _ in ROUTES]
    if different := {f"{method} {path}" for method, path, _ in found} ^ OPERATIONS.keys():
        raise ValueError(f"not in both ROUTES and OPERATIONS: {', '.join(sorted(different))}")
    return found


def operation(path: str, serve: Callable[..., Any], described: Operation) -> Json:
    """Return the description of a route."""
    parameters: list[Json] = [_parameter(name) for name in re.findall(r"{(\w+)}", path)]
    parameters += [_parameter("Idempotency-Key")] if described.takes_key else []
    parameters += shapes.parameters(described.query) if described.query else []
    return {
        "operationId": _camel(serve.__name__),
        "tags": [described.tag],
        "summary": described.summary,
        "description": f"For {described.who}.",
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _body(described.body, described)} if described.body else {}),
        "responses": {str(status): answer for status, answer in sorted(_responses(described))},
    }


def schemas() -> dict[str, Json]:
    """Return the schemas of all bodies and answers."""
    bodies = [each.body for each in OPERATIONS.values() if each.body]
    given = {shape for each in OPERATIONS.values() for shape, _ in each.answers.values()}
    return shapes.components(bodies, requests=True) | shapes.components(
        [*given, answers.Problem, answers.GatewayMessage], requests=False
    )


def _responses(described: Operation) -> Iterator[tuple[int, Json]]:
    for status, (shape, text) in described.answers.items():
        yield (
            status,
            {
                "description": text,
                "headers": dict(described.headers.get(status, {})),
                "content": {"application/json": {"schema": shapes.reference(shape)}},
            },
        )
    kinds = dict(problems.by_status(described.errors))
    for status in kinds.keys() | problems.GATEWAY.keys():
        own = kinds.get(status)
        yield status, _problem(status, own) if own else {"$ref": f"#/components/responses/{status}"}


def _problem(status: int, kinds: Collection[type[PromoterError]]) -> Json:
    """Return the answer with a status: a problem document of one of the codes, or API Gateway's own."""
    narrowed = {"status": {"const": status}, "code": {"enum": [kind.code for kind in kinds]}}
    schema = {"allOf": [shapes.reference(answers.Problem)], "properties": narrowed}
    own: Json = _gateway(status) if status in problems.GATEWAY else {"description": "", "content": {}}
    texts = [f"`{kind.code}`: {kind.title}." for kind in kinds]
    return {
        "description": " ".join([*texts, own["description"]]).strip(),
        **({"headers": {"Retry-After": RETRY_AFTER}} if any(kind.retry_after for kind in kinds) else {}),
        "content": {"application/problem+json": {"schema": schema}, **own["content"]},
    }


def _gateway(status: int) -> Json:
    """Return what API Gateway itself answers with a status."""
    return {
        "description": f"API Gateway: {problems.GATEWAY[status]}",
        "content": {"application/json": {"schema": shapes.reference(answers.GatewayMessage)}},
    }


def _body(body: type[Struct], described: Operation) -> Json:
    content: Json = {"schema": shapes.reference(body)}
    if described.example:
        content["examples"] = {"example": {"value": dict(described.example)}}
    return {"required": described.is_body_needed, "content": {"application/json": content}}


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _path(path: str) -> str:
    """Return a path with `{promotionId}` for the router's `<promotion_id>`."""
    return re.sub(r"<(\w+)>", lambda name: f"{{{_camel(name[1])}}}", path)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def text() -> str:
    """Return docs/openapi.json."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    print(text(), end="")
