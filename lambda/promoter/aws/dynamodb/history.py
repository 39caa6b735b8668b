"""What the ledger tells those who ask: promotions and heads, newest first, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from promoter.aws.dynamodb import table
from promoter.aws.dynamodb.listing import NOT_OURS, Item, Listing
from promoter.domain.errors import InvalidRequest, PromotionNotFound
from promoter.domain.model import Head, Outcome, Record, Repository
from promoter.domain.policy import matches

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
READS = 5  # of up to 1 MB, for one page of an answer; a filter may need several
FILTERED_PAGE = 100  # items that one read looks at where not all of them are wanted


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of what was asked for; `next_token` asks for more, None: that was all."""

    entries: tuple[T, ...]
    next_token: str | None


@dataclass(frozen=True)
class Filter:
    """Which promotions are wanted; None: all.

    `since` is the first moment at which one may have ended, `until` the first that is too late. `caller` is as
    recorded; `*` stands for any characters.
    """

    outcome: Outcome | None = None
    image_digest: str | None = None
    caller: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def keeps(self, record: Record) -> bool:
        """Say whether a promotion that ended at the right time is wanted. Events have no caller."""
        return (
            self.outcome in (None, record.outcome)
            and self.image_digest in (None, record.image_digest, *map(record.digest_of, record.moves))
            and (self.caller is None or (record.caller is not None and matches(record.caller, self.caller)))
        )

    @property
    def keeps_all(self) -> bool:
        """Whether every promotion that ended at the right time is wanted."""
        return (self.outcome, self.image_digest, self.caller) == (None, None, None)


ALL = Filter()


class DynamoHistory:
    """Reads of the function's table, for people and programs; nothing is decided by them."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def promotion(self, promotion_id: str) -> Record:
        """Return a promotion. Raises PromotionNotFound."""
        with table.asking("the promotion could not be read"):
            answer = self._client.get_item(
                TableName=self._table, Key=table.promotion_key(promotion_id), ConsistentRead=True
            )
        if "Item" not in answer:
            raise PromotionNotFound(f"there is no promotion {promotion_id}, or no longer")
        return table.record_of(answer["Item"])

    def promotions(
        self,
        repository: Repository,
        *,
        image_tag: str | None = None,
        wanted: Filter = ALL,
        limit: int = 20,
        next_token: str | None = None,
    ) -> Page[Record]:
        """Return the promotions of a repository, or of one of its tags, the newest first.

        Where a filter leaves some out, a page looks at 500 at most: it may hold fewer than `limit`, or none, and
        still have a `next_token`.
        """
        name = table.history_of(repository, image_tag)
        if image_tag is None:
            listing = Listing("listing", name, ("pk", "sk", "listing", "listedAt"))
            query = {"IndexName": table.INDEX} | listing.between("listedAt", wanted.since, wanted.until)
        else:
            listing = Listing("pk", name, ("pk", "sk"))
            query = {"ConsistentRead": True} | listing.between("sk", wanted.since, wanted.until)
        keeps = None if wanted.keeps_all else lambda item: wanted.keeps(table.record_of(item))
        items, token = self._page(listing, query | {"ScanIndexForward": False}, limit, next_token, keeps)
        return Page(tuple(table.record_of(item) for item in items), token)

    def heads(
        self,
        repository: Repository,
        *,
        image_tag: str | None = None,
        limit: int = 100,
        next_token: str | None = None,
    ) -> Page[Head]:
        """Return the heads of a repository by tag, or that of one tag."""
        listing = Listing("pk", f"heads#{table.place(repository)}", ("pk", "sk"))
        query = {"ConsistentRead": True} | listing.only("sk", image_tag)
        items, token = self._page(listing, query, limit, next_token, lambda item: "digest" in item)
        return Page(tuple(table.head_of(item) for item in items), token)

    def _page(
        self,
        listing: Listing,
        query: Mapping[str, Any],
        limit: int,
        next_token: str | None,
        keeps: Callable[[Item], bool] | None,
    ) -> tuple[list[Item], str | None]:
        start, found = listing.opened(next_token), list[Item]()
        for _ in range(READS):
            portion = {"Limit": FILTERED_PAGE if keeps else limit - len(found)}
            answer = self._query({**query, **portion} | ({"ExclusiveStartKey": start} if start else {}))
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

    def _query(self, query: Mapping[str, Any]) -> Any:
        with table.asking("the ledger could not be read"):
            try:
                return self._client.query(TableName=self._table, **query)
            except (ClientError, ParamValidationError) as error:
                if "ExclusiveStartKey" in query and _is_invalid(error):
                    raise InvalidRequest(NOT_OURS, field="nextToken") from error
                raise


def _is_invalid(error: ClientError | ParamValidationError) -> bool:
    return isinstance(error, ParamValidationError) or error.response["Error"]["Code"] == "ValidationException"
