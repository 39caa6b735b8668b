"""The Lambda function: tells the two callers apart, translates, calls, answers. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promoter import events, service
from promoter.errors import PromoterError
from promoter.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve EventBridge and the HTTP API with one function.

    An event's promotions are all tried before the first retryable failure is raised: then Lambda delivers
    the event again, and what was done already is UNCHANGED.
    """
    if "detail-type" in event:
        logger.set_correlation_id(event.get("id", context.aws_request_id))
        return serve_event(event)
    if "requestContext" not in event:
        raise ValueError("neither an EventBridge event nor an API Gateway request: see docs/architecture.md")

    from promoter import api  # what HTTP needs is not loaded for events

    logger.set_correlation_id(event["requestContext"]["requestId"])
    return api.resolver().resolve(event, context)


def serve_event(event: dict[str, Any]) -> dict[str, Any]:
    """Promote what a scan or a push asks for; raises the first answer that needs the event again, after all."""
    image_event = events.read(event)
    wishes = image_event if isinstance(image_event, events.Ignored) else service.wishes(image_event)
    if isinstance(image_event, events.Ignored) or isinstance(wishes, events.Ignored):
        reason = wishes.reason if isinstance(wishes, events.Ignored) else ""
        logger.info("event ignored", reason=reason)
        return {"outcome": "IGNORED", "reason": reason}
    answers = [service.attempt(wish) for wish in wishes]
    for answer in answers:
        if isinstance(answer, PromoterError) and service.must_come_again(image_event, answer):
            raise answer
    return {
        "promotions": [
            {"promotionId": wish.promotion_id, "rule": wish.rule, "outcome": answer.outcome}
            for wish, answer in zip(wishes, answers, strict=True)
        ]
    }
