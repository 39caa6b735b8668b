"""The Lambda functions: they tell their callers apart, translate, call and answer. They decide nothing."""

from __future__ import annotations

import gc

# This runs before the other imports: the objects that imports make stay, and searching them for garbage again and
# again takes a tenth of a cold start. The default is 700 new objects.
gc.set_threshold(200_000)

import json
from typing import TYPE_CHECKING, Any

from promoter import telemetry, wiring
from promoter.domain.answers import promotion_id_of
from promoter.entrypoints import due, image_events, image_service, service
from promoter.settings import Settings
from promoter.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from promoter.domain.answers import Answer
    from promoter.domain.model import Promotion


ENOUGH_TO_PROMOTE = 23_000
"""Milliseconds that an invocation must have left to begin another promotion, which may wait for others twice."""


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the queue of events and the HTTP API: the promoter.

    All promotions of an event are tried before the first retryable failure is raised. Then the event comes again,
    and promotions that were carried out before are UNCHANGED.
    """
    if "Records" in event:
        return serve_queue(event, context)
    if "detail-type" in event:
        return serve_event(event, context)
    if "requestContext" in event:
        return serve_http(event, context)
    raise ValueError(
        "This is not an event of SQS, EventBridge or API Gateway. See docs/explanation/architecture.md."
    )


@logger.inject_lambda_context(clear_state=True)
def reconcile_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the schedule and `POST /reconcile`: the reconciler."""
    if "reconcile" in event:
        return serve_schedule()
    if "requestContext" in event:
        return serve_http(event, context)
    raise ValueError(
        "This is not the schedule's event, and not a request of API Gateway. See docs/explanation/architecture.md."
    )


@logger.inject_lambda_context(clear_state=True)
def announce_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    """Serve the table's stream: the announcer."""
    if "Records" in event:
        return serve_stream(event)
    raise ValueError("This is not an event of the table's stream. See docs/explanation/architecture.md.")


def serve_http(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve a request of API Gateway."""
    from promoter.entrypoints.http import routes  # events do not load what only HTTP needs

    logger.set_correlation_id(event["requestContext"]["requestId"])
    return routes.resolver().resolve(event, context)


def serve_queue(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the one event of a queue message. An error is raised, unless this was the last try."""
    (message,) = event["Records"]
    try:
        return serve_event(json.loads(message["body"]), context)
    except Exception as error:
        if not wiring.event_queue().retry_or_dead_letter(message, error):
            raise
        logger.exception("event failed for good")
        telemetry.report_given_up(error)
        return {"outcome": "FAILED"}


def serve_event(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Promote what a scan or a push asks for. The first failure that needs the event again is raised at the end.

    Sources for which there is no time are sent to the queue as an event of their own. Sources that failed are sent
    as another. Both events name fewer sources than this one, so that the work ends, and both have all their tries.
    """
    if found := due.read(event):
        return serve_due(found, context)
    logger.set_correlation_id(event.get("id"))
    settings = Settings.read()
    image_event = image_events.read(event, registry_id=settings.registry_id, region=settings.region)
    if isinstance(image_event, image_events.Ignored):
        return ignored(image_event)
    served = image_service.serve(image_event, lambda: has_time(context))
    if isinstance(served, image_events.Ignored):
        return ignored(served)
    if any(served.left):
        logger.info("handed on", left=sum(map(len, served.left)), failed=sum(map(len, served.failed)))
        wiring.event_queue().add(image_events.rest_of(served.event, served.left, region=settings.region))
        wiring.event_queue().add(
            image_events.rest_of(served.event, served.failed, region=settings.region), later=True
        )
    elif served.error:
        raise served.error
    return promotions(served.answers)


def serve_due(promotions_due: due.Due, context: LambdaContext) -> dict[str, Any]:
    """Try promotions that wait for what has passed."""
    return promotions(service.resume_due(promotions_due, lambda: has_time(context)))


def has_time(context: LambdaContext) -> bool:
    """Say whether another promotion may begin."""
    return context.get_remaining_time_in_millis() > ENOUGH_TO_PROMOTE


def promotions(answers: Sequence[tuple[Promotion, Answer]]) -> dict[str, Any]:
    """Return how promotions ended, for the log."""
    return {
        "promotions": [
            {
                "promotionId": promotion_id_of(promotion, answer),
                "rule": promotion.rule,
                "outcome": answer.outcome,
            }
            for promotion, answer in answers
        ]
    }


def ignored(event: image_events.Ignored) -> dict[str, Any]:
    """Log and answer why an event asks for nothing."""
    logger.info("event ignored", reason=event.reason)
    return {"outcome": "IGNORED", "reason": event.reason}


def serve_stream(event: dict[str, Any]) -> dict[str, Any]:
    """Announce what the table's stream reports. Raises if that fails; then the stream brings the records again."""
    from promoter.entrypoints import stream  # the other functions do not need it

    sent, unsent = wiring.announcer().announce(list(stream.read(event["Records"])))
    for each in unsent:
        logger.error("put aside", promotion_id=each.promotion_id, key=each.key, code=each.code, detail=each.cause)
    logger.info("announced", count=sent)
    return {"announced": sent, "putAside": len(unsent)}


def serve_schedule() -> dict[str, Any]:
    """Reconcile for as long as there is time."""
    from promoter.entrypoints import reconcile_runs  # the other functions do not need it

    done = reconcile_runs.on_schedule()
    if done is None:
        return {"outcome": "SKIPPED"}
    return {"settled": len(done.settled), "finished": done.finished, "drifted": len(done.drifted)}
