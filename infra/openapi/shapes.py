"""Schemas of shapes: what msgspec makes of them, in the words of OpenAPI 3.1, and the rules between members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from infra.openapi import members
from promoter.domain.templates import REFERRERS

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"
NULL: Schema = {"type": "null"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
NOT_OF_REFERRERS: Schema = {"not": {"type": "string", "pattern": f"^{REFERRERS}"}}

BETWEEN_MEMBERS: dict[str, Schema] = {
    "PromotionBody": {
        "oneOf": [
            {
                "title": "An image of the registry",
                "required": ["source"],
                "properties": {
                    "source": {"type": "object"},
                    **dict.fromkeys(("imageManifest", "imageManifestMediaType", "imageDigest"), NULL),
                },
            },
            {
                "title": "A manifest that comes with the request",
                "required": ["imageManifest"],
                "properties": {"imageManifest": {"type": "string"}, "source": NULL},
            },
        ],
        "not": {
            "anyOf": [
                {
                    "required": ["imageTag", "imageTags"],
                    "properties": {"imageTag": {"type": "string"}, "imageTags": {"type": "array"}},
                },
                {
                    "required": ["wait", "dryRun"],
                    "properties": {"wait": {"not": {"const": False}}, "dryRun": {"const": True}},
                },
            ]
        },
    },
    "SourceBody": {
        "anyOf": [
            {"required": [name], "properties": {name: {"type": "string"}}} for name in ("imageTag", "imageDigest")
        ]
    },
}
"""What the function checks after it has read a shape, which a msgspec shape cannot say."""

MEMBERS: dict[tuple[str, str], Schema] = {
    ("FreezeBody", "until"): MOMENT,
    ("PromotionsQuery", "since"): MOMENT,
    ("PromotionsQuery", "until"): MOMENT,
}
"""Of members that the function reads itself, what msgspec does not know of them."""

TARGET_TAGS = {("PromotionBody", "imageTag"), ("TagRollbackBody", "imageTag")}
LISTS_OF_TARGET_TAGS = {("PromotionBody", "imageTags"), ("RollbackBody", "imageTags")}


def components(shapes: Sequence[type[Struct]], *, requests: bool) -> dict[str, Schema]:
    """Return the schemas of shapes and of what they refer to. Answers may get new members, requests may not."""
    _, found = msgspec.json.schema_components(shapes, ref_template=REFERENCE)
    return {name: _shape(name, schema, requests=requests) for name, schema in sorted(found.items())}


def parameters(shape: type[Struct]) -> Iterator[Schema]:
    """Yield the parameters of a query string."""
    name = shape.__name__
    schema = components([shape], requests=True)[name]
    for member, each in schema["properties"].items():
        text = each.pop("description")
        yield {
            "name": member,
            "in": "query",
            "description": text,
            "required": member in schema.get("required", ()),
            "schema": _not_null(each),
        }


def reference(shape: type[Struct]) -> Schema:
    """Return the reference to a shape."""
    return {"$ref": REFERENCE.format(name=shape.__name__)}


def _shape(name: str, schema: Schema, *, requests: bool) -> Schema:
    described: Schema = _clean(schema) | BETWEEN_MEMBERS.get(name, {})
    if not requests:
        described.pop("additionalProperties", None)
    elif "properties" in described:
        texts = members.OF_SHAPES[name]
        described["properties"] = {
            member: {"description": texts[member]} | _member(name, member, each)
            for member, each in described["properties"].items()
        }
    if not described.get("required", True):
        del described["required"]
    return described


def _member(shape: str, member: str, schema: Schema) -> Schema:
    """Return the schema of a request's member, with what only the function knows of it."""
    place = (shape, member)
    if place in MEMBERS:
        return {"anyOf": [MEMBERS[place], NULL]}
    if place == ("PromotionBody", "expectedDigests"):
        return schema | {"propertyNames": schema["propertyNames"] | NOT_OF_REFERRERS}
    if place in TARGET_TAGS:
        return schema | NOT_OF_REFERRERS
    if place in LISTS_OF_TARGET_TAGS:
        (tags, null) = schema["anyOf"]
        return schema | {"anyOf": [tags | {"items": tags["items"] | NOT_OF_REFERRERS}, null]}
    return schema


def _not_null(schema: Schema) -> Schema:
    """Return the schema without `null`, which no query string can say."""
    if "anyOf" not in schema:
        return schema
    kinds = [each for each in schema["anyOf"] if each != NULL]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _clean(value: Any) -> Any:
    """Return a schema with the anchors of ECMA-262, and without defaults of null, which say nothing."""
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if not isinstance(value, dict):
        return value
    cleaned = {name: _clean(each) for name, each in value.items() if not (name == "default" and each is None)}
    if isinstance(pattern := cleaned.get("pattern"), str):
        cleaned["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
    return cleaned
