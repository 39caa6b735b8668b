"""Everything that can go wrong, and the answer it carries.

PromoterError
├── InvalidRequest          400 invalid_request
├── IdempotencyConflict     409 idempotency_conflict
├── PromotionNotFound       404 promotion_not_found
├── NotWaiting              409 not_waiting
├── ReconcileRunning        409 reconcile_running  retryable
├── RouteNotFound           404 route_not_found
├── Refusal                 a rule forbids it: normal, and final unless it passes with time
│   ├── NotAllowed          403 not_allowed
│   ├── ScanPending         409 scan_pending       retryable
│   ├── Superseded          409 superseded
│   ├── TagChanged          412 tag_changed
│   ├── Expired             409 expired
│   ├── Cancelled           409 cancelled
│   ├── GateRefused         422 gate_refused
│   └── Frozen              423 frozen
└── Failure                 something broke
    ├── SourceNotFound      404 source_not_found
    ├── RepositoryNotFound  404 repository_not_found
    ├── TagImmutable        409 tag_immutable
    ├── LimitExceeded       409 limit_exceeded
    ├── LayersMissing       424 layers_missing
    ├── ChildrenMissing     424 children_missing
    ├── Throttled           429 throttled          retryable
    ├── RegistryError       502 registry_error     retryable
    ├── DigestMismatch      502 digest_mismatch
    ├── TagBusy             409 tag_busy           retryable
    ├── Interrupted         500 interrupted        retryable
    ├── LedgerError         503 ledger_error       retryable
    └── InternalError       500 internal_error     retryable

Codes are part of the API and never change. Each message says what happened and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar

from promoter.domain.model import Outcome, Reason


class PromoterError(Exception):
    """The root: `detail` is for people, `code` for programs. An error never changes after it was raised.

    `field` names the member of a request that is wrong, `reasons` say why each rule refused. What was done before
    an error stands beside it, in a NotPromoted.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    http_status: ClassVar[int]
    outcome: ClassVar[Outcome] = Outcome.REFUSED
    retryable: ClassVar[bool] = False
    retry_after: ClassVar[int | None] = None  # seconds

    def __init__(self, detail: str, *, reasons: tuple[Reason, ...] = (), field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reasons = reasons
        self.field = field


class InvalidRequest(PromoterError):
    """The request cannot be understood; `field` names the member that is wrong."""

    code = "invalid_request"
    title = "The request is not valid"
    http_status = 400


class IdempotencyConflict(PromoterError):
    """The Idempotency-Key was used for another request."""

    code = "idempotency_conflict"
    title = "The Idempotency-Key was used for another request"
    http_status = 409


class PromotionNotFound(PromoterError):
    """The ledger has no promotion of this id, or no longer has it."""

    code = "promotion_not_found"
    title = "The promotion is not known"
    http_status = 404


class NotWaiting(PromoterError):
    """The promotion cannot be cancelled, because it has ended."""

    code = "not_waiting"
    title = "The promotion does not wait"
    http_status = 409


class ReconcileRunning(PromoterError):
    """Another run of reconcile is under way."""

    code = "reconcile_running"
    title = "Reconcile is running"
    http_status = 409
    retryable = True
    retry_after = 30


class RouteNotFound(PromoterError):
    """The API does not have this path, or not for this method."""

    code = "route_not_found"
    title = "There is no such route"
    http_status = 404


class Refusal(PromoterError):
    """The policy, the gate or the order of the images forbids the promotion."""


class NotAllowed(Refusal):
    """No rule of the policy admits this promotion, or not for this caller."""

    code = "not_allowed"
    title = "No rule allows this promotion"
    http_status = 403


class ScanPending(Refusal):
    """The gate cannot judge yet; `reasons` names the scans that are under way."""

    code = "scan_pending"
    title = "The image has not been scanned yet"
    http_status = 409
    retryable = True
    retry_after = 30


class GateRefused(Refusal):
    """The image does not pass the rule's gate; `reasons` lists everything that is in the way."""

    code = "gate_refused"
    title = "The image does not pass the gate"
    http_status = 422


class Frozen(Refusal):
    """A freeze of the policy, or one that an operator set, is in force."""

    code = "frozen"
    title = "Promotions are frozen"
    http_status = 423


class Superseded(Refusal):
    """A newer image has taken the place of this one."""

    code = "superseded"
    title = "A newer image has taken its place"
    http_status = 409


class Expired(Refusal):
    """The promotion has waited for as long as it may."""

    code = "expired"
    title = "The promotion has waited for as long as it may"
    http_status = 409


class Cancelled(Refusal):
    """The requester or an operator has given the waiting promotion up."""

    code = "cancelled"
    title = "The promotion was cancelled while it waited"
    http_status = 409


class TagChanged(Refusal):
    """A tag is not where the caller expects it, or a rollback is not of the tag's last promotion."""

    code = "tag_changed"
    title = "A target tag is not where the caller expects it"
    http_status = 412


class Failure(PromoterError):
    """Something broke; retried where that can help. `unanswered`: AWS may still carry out the call that failed."""

    outcome = Outcome.FAILED

    def __init__(self, detail: str, *, reasons: tuple[Reason, ...] = (), unanswered: bool = False) -> None:
        super().__init__(detail, reasons=reasons)
        self.unanswered = unanswered


class SourceNotFound(Failure):
    """The source image does not exist."""

    code = "source_not_found"
    title = "The source image does not exist"
    http_status = 404


class RepositoryNotFound(Failure):
    """The repository does not exist in the registry."""

    code = "repository_not_found"
    title = "The repository does not exist"
    http_status = 404


class TagImmutable(Failure):
    """The target tag is immutable and points at another image."""

    code = "tag_immutable"
    title = "The target tag is immutable"
    http_status = 409


class LimitExceeded(Failure):
    """A quota of the registry that does not refill with time, such as 1,000 tags on an image."""

    code = "limit_exceeded"
    title = "A limit of the registry is reached"
    http_status = 409


class LayersMissing(Failure):
    """The manifest names layers that the target repository does not hold."""

    code = "layers_missing"
    title = "Layers of the image are missing"
    http_status = 424


class ChildrenMissing(Failure):
    """The index names manifests that the target repository does not hold."""

    code = "children_missing"
    title = "Images of the index are missing"
    http_status = 424


class Throttled(Failure):
    """The registry is throttling; the same promotion may be sent again."""

    code = "throttled"
    title = "The registry is throttling"
    http_status = 429
    retryable = True
    retry_after = 2


class RegistryError(Failure):
    """A call to the registry failed: a fault, a time-out, a missing right."""

    code = "registry_error"
    title = "The registry failed"
    http_status = 502
    retryable = True


class DigestMismatch(Failure):
    """Bytes and digest disagree: the manifest is damaged, and is not put."""

    code = "digest_mismatch"
    title = "The manifest does not have the digest it should"
    http_status = 502


class TagBusy(Failure):
    """Another promotion has the lease of a target tag, or this one is under way already."""

    code = "tag_busy"
    title = "Another promotion is moving the tag"
    http_status = 409
    retryable = True
    retry_after = 1


class Interrupted(Failure):
    """The function ended in the middle of the promotion; the tags were read afterwards."""

    code = "interrupted"
    title = "The promotion was interrupted"
    http_status = 500
    retryable = True


class LedgerError(Failure):
    """A read or write of the table failed."""

    code = "ledger_error"
    title = "The ledger failed"
    http_status = 503
    retryable = True
    retry_after = 2


class InternalError(Failure):
    """A mistake in this service; the log has the cause."""

    code = "internal_error"
    title = "The service failed"
    http_status = 500
    retryable = True


def error_of(code: str) -> type[PromoterError]:
    """Return the error of a code; InternalError for one that this version does not know."""
    return _BY_CODE.get(code, InternalError)


def _leaves(kind: type[PromoterError]) -> list[type[PromoterError]]:
    return [leaf for child in kind.__subclasses__() for leaf in (_leaves(child) or [child])]


_BY_CODE = {kind.code: kind for kind in _leaves(PromoterError)}
