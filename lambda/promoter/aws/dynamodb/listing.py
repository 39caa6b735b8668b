"""Listings of the table, page by page: what a query asks for, its answer, and the token for the next page."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.table import INDEX, Item, Table, asking
from promoter.domain.errors import InvalidRequest

LONGEST = 2048  # bytes of a key (Amazon DynamoDB developer guide, "Quotas")
NOT_OURS = "nextToken is not one that this question was answered with"
READS = 5  # of up to 1 MB, for one page of an answer; a filter may need several
FILTERED_PAGE = 100  # items that one read looks at where not all of them are wanted


@dataclass(frozen=True)
class Listing:
    """One way to read the table: where the attribute `by` is `name`. `keys` tell where a page ended."""

    by: str
    name: str
    keys: tuple[str, ...]

    def only(self, at: str, value: str | None) -> dict[str, Any]:
        """Return the condition of all its items, or of the one that is at `value`."""
        return self._where() if value is None else self._where(f"{at} = :at", values={":at": value})

    def between(self, at: str, since: datetime | None, until: datetime | None) -> dict[str, Any]:
        """Return the condition of its items from `since` on and before `until`.

        Each is at a moment and more text. So an item of just that moment is greater than the moment alone.
        """
        bounds = {":since": since, ":until": until}
        values = {name: keys.sortable(moment) for name, moment in bounds.items() if moment}
        if len(values) == len(bounds):
            return self._where(f"{at} BETWEEN :since AND :until", values=values)
        conditions = {":since": f"{at} >= :since", ":until": f"{at} < :until"}
        return self._where(*(conditions[name] for name in values), values=values)

    def _where(self, *conditions: str, values: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
        """Return a key condition."""
        texts = {":value": self.name, **values}
        return {
            "KeyConditionExpression": " AND ".join((f"{self.by} = :value", *conditions)),
            "ExpressionAttributeValues": {name: {"S": text} for name, text in texts.items()},
        }

    def closed(self, item: Item) -> str:
        """Return the token of the page that begins after the item."""
        key = {name: item[name] for name in self.keys}
        return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()

    def opened(self, token: str | None) -> Any:
        """Return where the page begins. Raises InvalidRequest for what is not a token of this listing."""
        if not token:
            return None
        try:
            key = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, RecursionError):
            key = None
        match key:
            case dict() if set(key) == set(self.keys) and all(map(_is_text, key.values())):
                if key[self.by] == {"S": self.name}:
                    return key
        raise InvalidRequest(NOT_OURS, field="nextToken")


def _is_text(value: Any) -> bool:
    """Say whether a part of a key is one of ours: a short text of printable ASCII."""
    match value:
        case {"S": str(text)}:
            return len(value) == 1 and 0 < len(text) <= LONGEST and text.isascii() and text.isprintable()
    return False


def page(
    table: Table,
    listing: Listing,
    query: Mapping[str, Any],
    *,
    limit: int,
    next_token: str | None,
    keeps: Callable[[Item], bool] | None = None,
) -> tuple[list[Item], str | None]:
    """Return the items of one page, and the token of the next one; with `keeps` only those that it keeps."""
    start, found = listing.opened(next_token), list[Item]()
    for _ in range(READS):
        portion = {"Limit": FILTERED_PAGE if keeps else limit - len(found)}
        answer = _query(table, {**query, **portion} | ({"ExclusiveStartKey": start} if start else {}))
        start = answer.get("LastEvaluatedKey")
        for number, item in enumerate(answer["Items"], 1):
            if keeps is None or keeps(item):
                found.append(item)
            if len(found) == limit:
                is_last = number == len(answer["Items"]) and not start
                return found, None if is_last else listing.closed(item)
        if not start:
            break
    return found, listing.closed(start) if start else None


def waiting_page(
    table: Table, *, limit: int, next_token: str | None, keeps: Callable[[Item], bool]
) -> tuple[list[Item], str | None]:
    """Return waiting promotions of one page, and the token of the next: one listing after the other.

    The token of a page names the listing in which the next page begins, and where.
    """
    first, inner = _waiting_start(next_token)
    found: list[Item] = []
    for number in range(first, keys.SHARDS):
        listing = Listing("listing", keys.shard(number), ("pk", "sk", "listing", "listedAt"))
        query = {"IndexName": INDEX} | listing.between("listedAt", None, None)
        items, inner = page(table, listing, query, limit=limit - len(found), next_token=inner, keeps=keeps)
        found += items
        if inner:
            return found, f"{number}.{inner}"
        if len(found) == limit:
            return found, f"{number + 1}." if number + 1 < keys.SHARDS else None
    return found, None


def _waiting_start(token: str | None) -> tuple[int, str | None]:
    """Return the listing that a token names, and the token within it."""
    if not token:
        return 0, None
    number, dot, inner = token.partition(".")
    if not dot or not re.fullmatch("[0-9]{1,2}", number) or int(number) >= keys.SHARDS:
        raise InvalidRequest(NOT_OURS, field="nextToken")
    return int(number), inner or None


def _query(table: Table, query: Mapping[str, Any]) -> Any:
    with asking("The ledger could not be read"):
        try:
            return table.client.query(TableName=table.name, **query)
        except (ClientError, ParamValidationError) as error:
            if "ExclusiveStartKey" in query and _is_invalid(error):
                raise InvalidRequest(NOT_OURS, field="nextToken") from error
            raise


def _is_invalid(error: ClientError | ParamValidationError) -> bool:
    return isinstance(error, ParamValidationError) or error.response["Error"]["Code"] == "ValidationException"
