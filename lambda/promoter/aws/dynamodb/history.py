"""What the ledger tells those who ask: promotions and heads, newest first, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.aws.dynamodb import items, keys
from promoter.aws.dynamodb.table import INDEX, Item, Table
from promoter.domain.clock import utc_now
from promoter.domain.errors import PromotionNotFound
from promoter.domain.history import HistoryEntry, entry_of
from promoter.domain.model import Repository
from promoter.domain.records import Head, Record
from promoter.domain.waiting import has_expired

if TYPE_CHECKING:
    from promoter.domain.listing import Filter, Page


class DynamoHistory:
    """Reads of the function's table, for people and programs. Events list nothing, and load no code of lists."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def promotion(self, promotion_id: str) -> Record:
        """Return a promotion. Raises PromotionNotFound."""
        item = self._table.get(keys.promotion(promotion_id), "The promotion could not be read")
        if not item:
            raise PromotionNotFound(f"There is no promotion {promotion_id}, or no longer.")
        return items.record_of(item)

    def promotions(
        self,
        repository: Repository,
        *,
        image_tag: str | None = None,
        wanted: Filter | None = None,
        limit: int = 20,
        next_token: str | None = None,
    ) -> Page[HistoryEntry]:
        """Return the promotions of a repository, or of one of its tags, the newest first.

        Where a filter leaves some out, a page looks at 500 at most: it may hold fewer than `limit`, or none, and
        still have a `next_token`.
        """
        from promoter.aws.dynamodb.listing import Listing, page
        from promoter.domain.listing import ALL, Page

        wanted = wanted or ALL
        region = self._table.region
        if image_tag is None:
            name = keys.place(region, repository)
            listing, entry = Listing("listing", name, ("pk", "sk", "listing", "listedAt")), _recorded
            query = {"IndexName": INDEX} | listing.between("listedAt", wanted.since, wanted.until)
        else:
            name = keys.history(region, repository, image_tag)
            listing, entry = Listing("pk", name, ("pk", "sk")), items.row_of
            query = {"ConsistentRead": True} | listing.between("sk", wanted.since, wanted.until)
        found, token = page(
            self._table,
            listing,
            query | {"ScanIndexForward": False},
            limit=limit,
            next_token=next_token,
            keeps=None if wanted.keeps_all else lambda item: wanted.keeps(entry(item)),
        )
        return Page(tuple(map(entry, found)), token)

    def waiting(
        self,
        *,
        repository: Repository | None = None,
        image_tag: str | None = None,
        wanted: Filter | None = None,
        limit: int = 20,
        next_token: str | None = None,
    ) -> Page[HistoryEntry]:
        """Return promotions that wait, of one repository or of all, in no order. A page may hold fewer."""
        from promoter.aws.dynamodb.listing import waiting_page
        from promoter.domain.listing import ALL, Page

        now, wanted = utc_now(), wanted or ALL

        def keeps(item: Item) -> bool:
            record = items.record_of(item)
            return (
                not has_expired(record, now)
                and repository in (None, record.repository)
                and (image_tag is None or image_tag in record.image_tags)
                and wanted.keeps(entry_of(record))
            )

        found, token = waiting_page(self._table, limit=limit, next_token=next_token, keeps=keeps)
        return Page(tuple(map(_recorded, found)), token)

    def heads(
        self,
        repository: Repository,
        *,
        image_tag: str | None = None,
        limit: int = 100,
        next_token: str | None = None,
    ) -> Page[Head]:
        """Return the heads of a repository by tag, or that of one tag."""
        from promoter.aws.dynamodb.listing import Listing, page
        from promoter.domain.listing import Page

        listing = Listing("pk", keys.heads(self._table.region, repository), ("pk", "sk"))
        query = {"ConsistentRead": True} | listing.only("sk", image_tag)
        found, token = page(
            self._table, listing, query, limit=limit, next_token=next_token, keeps=lambda item: "digest" in item
        )
        return Page(tuple(map(items.head_of, found)), token)


def _recorded(item: Item) -> HistoryEntry:
    return entry_of(items.record_of(item))
