"""Freezes that operators set over HTTP: the stop button.

A freeze is one item: `pk` is `freezes`, `sk` is `GLOB#RULE`, the repositories and the rule that rest; `*` is all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from promoter.aws.dynamodb import keys
from promoter.aws.dynamodb.expressions import Values
from promoter.aws.dynamodb.table import Table
from promoter.domain.rule import Freeze

FRESH = 5
"""Seconds for which an execution environment reuses the freezes that it read, so that few promotions read them."""

ALL = "*"


class DynamoFreezes:
    """Freezes in the function's table. An execution environment has one object, which knows what it has set."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._read_at: float | None = None
        self._known: tuple[Freeze, ...] = ()

    def known(self) -> Sequence[Freeze]:
        """Return the freezes; one that was set more than FRESH seconds ago is among them."""
        now = time.time()  # goes on while Lambda lets the function rest
        if self._read_at is None or not 0 <= now - self._read_at < FRESH:
            self._known, self._read_at = self.all(), now
        return self._known

    def all(self) -> tuple[Freeze, ...]:
        """Read the freezes as they are now."""
        values = Values()
        found = self._table.every(
            "The freezes could not be read",
            KeyConditionExpression=f"pk={values.text(keys.FREEZES)}",
            ConsistentRead=True,
            **values.members(),
        )
        return tuple(map(_freeze, found))

    def put(self, freeze: Freeze) -> None:
        """Set a freeze, in place of the one for the same repositories and rule. DynamoDB forgets it at its end."""
        item = _key(freeze) | {
            "reason": {"S": freeze.reason},
            "by": {"S": freeze.by or ""},
            "since": {"S": freeze.start.isoformat()},
        }
        if freeze.end:
            item |= {"until": {"S": freeze.end.isoformat()}, "expires": {"N": keys.seconds(freeze.end)}}
        self._table.put(item, "The freeze could not be set")
        self._read_at = None

    def spread(self) -> None:
        """Wait until no execution environment still uses freezes that it read before."""
        time.sleep(FRESH)

    def lift(self, freeze: Freeze) -> bool:
        """Lift the freeze for these repositories and this rule; False: there was none."""
        lifted = self._table.delete(_key(freeze), "The freeze could not be lifted")
        self._read_at = None
        return bool(lifted)


def _key(freeze: Freeze) -> dict[str, Any]:
    glob = freeze.repositories[0] if freeze.repositories else ALL
    rule = freeze.rules[0] if freeze.rules else ALL
    return {"pk": {"S": keys.FREEZES}, "sk": {"S": f"{glob}#{rule}"}}


def _freeze(item: Any) -> Freeze:
    glob, _, rule = item["sk"]["S"].partition("#")
    until = keys.text(item, "until")
    return Freeze(
        start=keys.moment(item["since"]["S"]),
        end=keys.moment(until) if until else None,
        reason=item["reason"]["S"],
        rules=None if rule == ALL else (rule,),
        repositories=None if glob == ALL else (glob,),
        by=keys.text(item, "by"),
    )
