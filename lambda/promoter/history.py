"""What the ledger tells those who ask: promotions and heads, newest first, page by page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from promoter import dynamo
from promoter.errors import InvalidRequest, PromotionNotFound
from promoter.items import head_of, record_of
from promoter.model import Head, Outcome, Record, Repository

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
READS = 5  # of up to 1 MB, for one page of an answer; a filter may need several


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of what was asked for; `next_token` asks for more, None: that was all."""

    entries: tuple[T, ...]
    next_token: str | None


class DynamoHistory:
    """Reads of the function's table, for people and programs; nothing is decided by them."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def promotion(self, promotion_id: str) -> Record:
        """Return a promotion. Raises PromotionNotFound."""
        with dynamo.asking("the promotion could not be read"):
            answer = self._client.get_item(
                TableName=self._table, Key=dynamo.promotion_key(promotion_id), ConsistentRead=True
            )
        if "Item" not in answer:
            raise PromotionNotFound(f"there is no promotion {promotion_id}, or no longer")
        return record_of(answer["Item"])

    def promotions(
        self,
        repository: Repository,
        *,
        image_tag: str | None = None,
        outcome: Outcome | None = None,
        limit: int = 20,
        next_token: str | None = None,
    ) -> Page[Record]:
        """Return the promotions of a repository, or of one of its tags, the newest first."""
        name = dynamo.history_of(repository, image_tag)
        query: dict[str, Any] = {"ScanIndexForward": False, "Limit": limit}
        if image_tag is None:
            query |= {"IndexName": dynamo.INDEX, **_where("listing", name)}
        else:
            query |= {"ConsistentRead": True, **_where("pk", name)}
        if outcome:
            query["FilterExpression"] = "outcome = :outcome"
            query["ExpressionAttributeValues"] |= {":outcome": {"S": f"{outcome}"}}
        items, token = self._page(query, limit, next_token)
        return Page(tuple(record_of(item) for item in items), token)

    def heads(self, repository: Repository, *, limit: int = 100, next_token: str | None = None) -> Page[Head]:
        """Return the heads of a repository by tag."""
        query = {"Limit": limit, "ConsistentRead": True, **_where("pk", f"heads#{dynamo.place(repository)}")}
        items, token = self._page(query, limit, next_token)
        return Page(tuple(head_of(item) for item in items if "digest" in item), token)

    def _page(self, query: dict[str, Any], limit: int, next_token: str | None) -> tuple[list[Any], str | None]:
        start, found = _opened(next_token), list[Any]()
        for _ in range(READS):
            query["Limit"] = limit - len(found)
            answer = self._query(query | ({"ExclusiveStartKey": start} if start else {}))
            found += answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if not start or len(found) >= limit:
                break
        return found, _closed(start)

    def _query(self, query: Mapping[str, Any]) -> Any:
        with dynamo.asking("the ledger could not be read"):
            try:
                return self._client.query(TableName=self._table, **query)
            except (ClientError, ParamValidationError) as error:
                if "ExclusiveStartKey" in query and _is_invalid(error):
                    raise InvalidRequest("nextToken is not of this question", field="nextToken") from error
                raise


def _is_invalid(error: ClientError | ParamValidationError) -> bool:
    return isinstance(error, ParamValidationError) or error.response["Error"]["Code"] == "ValidationException"


def _where(name: str, value: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": f"{name} = :value",
        "ExpressionAttributeValues": {":value": {"S": value}},
    }


def _closed(key: Any) -> str | None:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode() if key else None


def _opened(token: str | None) -> Any:
    if not token:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(token))
        if isinstance(key, dict) and all(isinstance(value, dict) for value in key.values()):
            return key
    except ValueError:
        pass
    raise InvalidRequest("nextToken is not one of ours", field="nextToken")
