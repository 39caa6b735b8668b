"""Updates, puts and conditions as DynamoDB reads them. They are short: each promotion sends every byte of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promoter.aws.dynamodb.table import Change, Item

FREE = "attribute_not_exists(lease)"
"""The condition on the head of a tag that nobody has leased."""


class Values(dict[str, Any]):
    """The values of an expression: each is sent once, under a short name."""

    def text(self, value: str) -> str:
        """Return the name of a text."""
        return self._name({"S": value})

    def number(self, value: int | str) -> str:
        """Return the name of a number."""
        return self._name({"N": f"{value}"})

    def assigned(self, attributes: Item) -> str:
        """Return what SETs the attributes to these values."""
        return ",".join(f"{name}={self._name(value)}" for name, value in attributes.items())

    def condition(self, expression: str) -> dict[str, Any]:
        """Return a condition with these values, as the calls of one item take it."""
        return {"ConditionExpression": expression} | self.members()

    def members(self) -> dict[str, Any]:
        """Return the values as a member of a request, which must not be empty."""
        return {"ExpressionAttributeValues": dict(self)} if self else {}

    def _name(self, value: Mapping[str, Any]) -> str:
        known = next((name for name, each in self.items() if each == value), None)
        if known is None:
            known = f":{len(self)}"
            self[known] = value
        return known


def put(item: Item, condition: str | None = None, values: Values | None = None) -> Change:
    """Return a put for a transaction; the item that fails its condition comes back with the reason."""
    if condition is None:
        return {"Put": {"Item": dict(item)}}
    return {
        "Put": {
            "Item": dict(item),
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **(values.members() if values else {}),
        }
    }


def update(
    key: Item,
    change: str,
    condition: str,
    values: Values,
    *,
    returns_item: bool = False,
) -> Change:
    """Return an update for a transaction; with `returns_item` an item that fails the condition comes back."""
    return {
        "Update": {
            "Key": dict(key),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            **values.members(),
            **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if returns_item else {}),
        }
    }


def check(key: Item, condition: str, values: Values) -> Change:
    """Return a condition on an item that a transaction does not change."""
    return {"ConditionCheck": {"Key": dict(key), "ConditionExpression": condition, **values.members()}}
