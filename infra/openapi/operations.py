"""What the document says of each route, beside its shapes. A new route needs an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from infra.openapi import answers, problems
from promoter.domain import errors
from promoter.entrypoints.http.schemas import freezes, listings, promotions, rollbacks

DIGEST = "sha256:" + "0123456789abcdef" * 4


@dataclass(frozen=True)
class Operation:
    """A route: its texts, the shapes that it takes and gives, and the errors that it can answer with.

    `answers` has a shape and a sentence for each status that is not an error.
    """

    tag: str
    summary: str
    who: str
    answers: Mapping[int, tuple[type[Struct], str]]
    errors: problems.Kinds
    body: type[Struct] | None = None
    is_body_needed: bool = True
    example: Mapping[str, Any] | None = None
    query: type[Struct] | None = None
    takes_key: bool = False
    headers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


CALLERS = "the callers that the policy's rules name, and operators"
REQUESTER = "the requester of the promotion"
OPERATORS = "operators"
PROMOTED = (answers.Promotion, "The tags are on the image, or a dry run found that they can be put.")
WAITING = (answers.Record, "The promotion waits: `waitingFor` says for what, `waitsUntil` for how long at most.")
LOCATION = {202: {"Location": {"description": "Where to read the promotion.", "schema": {"type": "string"}}}}

OPERATIONS: Mapping[str, Operation] = {
    "POST /promotions": Operation(
        tag="Promotions",
        summary="Put tags on an image",
        who="the rule's `callers`",
        body=promotions.PromotionBody,
        example={"repositoryName": "team/web", "source": {"imageTag": "staging"}, "imageTags": ["prod"]},
        takes_key=True,
        answers={200: PROMOTED, 202: WAITING},
        headers=LOCATION,
        errors=problems.PROMOTING,
    ),
    "GET /promotions": Operation(
        tag="Promotions",
        summary="List the promotions of a repository, the newest first, or all that wait",
        who=CALLERS,
        query=listings.PromotionsQuery,
        answers={200: (answers.Promotions, "A page of promotions.")},
        errors=problems.READING,
    ),
    "GET /promotions/{promotionId}": Operation(
        tag="Promotions",
        summary="Show how a promotion ended, or for what it waits",
        who=f"{REQUESTER}, {CALLERS}",
        answers={200: (answers.Record, "The record of the promotion.")},
        errors=problems.STORED | {errors.PromotionNotFound},
    ),
    "DELETE /promotions/{promotionId}": Operation(
        tag="Promotions",
        summary="Cancel a promotion that waits",
        who=f"{REQUESTER}, and operators",
        answers={200: (answers.Record, "The record of the promotion, which is cancelled now or was before.")},
        errors=problems.STORED | {errors.PromotionNotFound, errors.NotWaiting, errors.TagBusy},
    ),
    "POST /promotions/{promotionId}/rollback": Operation(
        tag="Rollbacks",
        summary="Take a promotion back",
        who="the rule's `callers`, or operators",
        body=rollbacks.RollbackBody,
        is_body_needed=False,
        example={"imageTags": ["prod"]},
        takes_key=True,
        answers={200: PROMOTED, 202: WAITING},
        headers=LOCATION,
        errors=problems.ROLLING_BACK,
    ),
    "POST /rollback": Operation(
        tag="Rollbacks",
        summary="Take back the last promotion of a tag",
        who="the rule's `callers`, or operators",
        body=rollbacks.TagRollbackBody,
        example={"repositoryName": "team/web", "imageTag": "prod", "expectedDigest": DIGEST},
        takes_key=True,
        answers={200: PROMOTED, 202: WAITING},
        headers=LOCATION,
        errors=problems.ROLLING_BACK,
    ),
    "GET /heads": Operation(
        tag="Tags",
        summary="Show where the ledger and the registry have the tags of a repository",
        who=CALLERS,
        query=listings.HeadsQuery,
        answers={200: (answers.Heads, "A page of tags.")},
        errors=problems.READING | {errors.RepositoryNotFound, errors.RegistryError, errors.Throttled},
    ),
    "GET /freeze": Operation(
        tag="Freezes",
        summary="List all freezes",
        who=CALLERS,
        answers={200: (answers.Freezes, "All freezes that somebody set.")},
        errors=problems.STORED,
    ),
    "PUT /freeze": Operation(
        tag="Freezes",
        summary="Stop promotions at once",
        who=OPERATORS,
        body=freezes.FreezeBody,
        example={"reason": "incident 7", "repositories": "team/*"},
        answers={200: (answers.Freeze, "Every promotion that begins from now on obeys the freeze.")},
        errors=problems.READING,
    ),
    "DELETE /freeze": Operation(
        tag="Freezes",
        summary="Lift a freeze",
        who=OPERATORS,
        query=freezes.ScopeQuery,
        answers={200: (answers.Lifted, "The freeze is lifted, or there was none.")},
        errors=problems.READING,
    ),
    "POST /reconcile": Operation(
        tag="Operations",
        summary="Run reconcile once, for 25 seconds at most",
        who=OPERATORS,
        answers={200: (answers.Reconciled, "What the run did.")},
        errors=problems.STORED | {errors.ReconcileRunning},
    ),
}
