"""Which errors each route can answer with: error codes and statuses as promoter.domain.errors has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby

from promoter.domain import errors
from promoter.domain.errors import PromoterError

Kinds = frozenset[type[PromoterError]]

ANY_ROUTE: Kinds = frozenset({errors.NotAllowed, errors.InternalError, errors.RouteNotFound})
"""The guard refuses, the service has a bug, or the path has characters that lead to no route."""

STORED: Kinds = ANY_ROUTE | {errors.LedgerError}
"""Of a route that reads or writes the table."""

READING: Kinds = STORED | {errors.InvalidRequest}

PUTTING: Kinds = READING | {
    errors.SourceNotFound,
    errors.RepositoryNotFound,
    errors.TagBusy,
    errors.IdempotencyConflict,
    errors.TagImmutable,
    errors.LimitExceeded,
    errors.TagChanged,
    errors.Superseded,
    errors.Expired,
    errors.Cancelled,
    errors.Frozen,
    errors.LayersMissing,
    errors.ChildrenMissing,
    errors.Throttled,
    errors.Interrupted,
    errors.RegistryError,
    errors.DigestMismatch,
}
"""Of a route that puts tags."""

PROMOTING: Kinds = PUTTING | {errors.ScanPending, errors.GateRefused}
ROLLING_BACK: Kinds = PUTTING | {errors.PromotionNotFound}

GATEWAY = {
    401: "The token is missing or not valid (`authorization: jwt`).",
    403: "The call is not signed, or the caller lacks `execute-api:Invoke`.",
    404: "The API has no such route.",
    413: "The body has more than 10 MB.",
    429: "The limit of `apiRate` and `apiBurst` is exceeded.",
    431: "The path, the query and the headers have more than 10,240 bytes.",
    500: "The function broke off.",
    503: "The function was throttled.",
    504: "The function did not answer within 30 seconds.",
}
"""What API Gateway answers by itself, by status."""


def by_status(kinds: Kinds) -> Iterator[tuple[int, Collection[type[PromoterError]]]]:
    """Yield each status with its errors, sorted."""
    ordered = sorted(kinds, key=lambda kind: (kind.http_status, kind.code))
    for status, group in groupby(ordered, key=lambda kind: kind.http_status):
        yield status, tuple(group)
