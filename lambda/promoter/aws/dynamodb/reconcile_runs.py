"""What reconcile remembers on DynamoDB: which run is under way, and how far the heads are compared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import Table
from promoter.domain.clock import utc_now
from promoter.domain.records import Rota, Round

RUN = keys.reconcile("run")


class DynamoReconcileRuns:
    """ReconcileRuns in the function's table."""

    def __init__(self, table: Table, *, now: Callable[[], datetime] = utc_now) -> None:
        self._table = table
        self._now = now

    def begin(self, holder: str, until: datetime) -> bool:
        """Put the run's item where there is none, or one that is over."""
        values = Values()
        over = f"attribute_not_exists(pk) OR ends<{values.text(keys.sortable(self._now()))}"
        run = RUN | {"holder": {"S": holder}, "ends": {"S": keys.sortable(until)}}
        return self._table.put(run, "The run could not begin", **values.condition(over))

    def end(self, holder: str) -> None:
        """Delete the run's item."""
        values = Values()
        held = values.condition(f"holder={values.text(holder)}")
        self._table.delete(RUN, "The run could not be ended", **held)

    def round(self, rota: Rota) -> Round:
        """Read the rota's item."""
        item = self._table.get(keys.reconcile(rota), "The ledger could not be read")
        moments = {name: keys.text(item, name) for name in ("began", "whole")}
        return Round(
            after=keys.text(item, "after"),
            **{name: keys.moment(text) if text else None for name, text in moments.items()},
        )

    def keep_round(self, rota: Rota, at: Round) -> None:
        """Write the rota's item."""
        members = {
            "after": at.after,
            "began": at.began and keys.sortable(at.began),
            "whole": at.whole and keys.sortable(at.whole),
        }
        kept = {name: {"S": text} for name, text in members.items() if text}
        self._table.put(keys.reconcile(rota) | kept, "The ledger could not be written")
