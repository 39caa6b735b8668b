"""The HTTP API: its routes. Imported only when an HTTP request comes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from promoter import telemetry, wiring
from promoter.domain import documents, history, rollback
from promoter.domain.errors import InternalError, InvalidRequest, PromoterError, PromotionNotFound, RouteNotFound
from promoter.domain.model import Promotion, Record, Repository
from promoter.entrypoints import service
from promoter.entrypoints.http import queries, schemas, views
from promoter.entrypoints.http.gateway import Event, asking, body, caller, key, parameters
from promoter.entrypoints.http.guards import (
    Guard,
    for_named_operators,
    for_operators,
    for_the_known,
    left_to_the_rules,
)
from promoter.entrypoints.http.views import image, promoted, refused, respond
from promoter.promotion.drift_checks import read_tags
from promoter.promotion.recovery import recover
from promoter.settings import Settings

JSON = "application/json"


@functools.cache
def resolver() -> APIGatewayHttpResolver:
    """Build the routes, once."""
    app = APIGatewayHttpResolver()

    def route(method: str, path: str, serve: Callable[..., Response[str]], guard: Guard) -> None:
        def served(**parameters: str) -> Response[str]:
            if app.current_event.path.endswith("\n"):  # the router's patterns end with $, which is also before it
                return answered(no_route, left_to_the_rules, app.current_event.raw_event)
            return answered(serve, guard, app.current_event.raw_event, **parameters)

        app.route(path, method=method)(served)

    route("POST", "/promotions", promote, left_to_the_rules)
    route("GET", "/promotions", list_promotions, for_the_known)
    route("GET", "/promotions/<promotion_id>", get_promotion, for_the_known)
    route("POST", "/promotions/<promotion_id>/rollback", roll_back, for_the_known)
    route("POST", "/rollback", roll_back_tag, for_the_known)
    route("GET", "/heads", list_heads, for_the_known)
    route("GET", "/freeze", list_freezes, for_the_known)
    route("PUT", "/freeze", freeze, for_operators)
    route("DELETE", "/freeze", lift, for_operators)
    route("POST", "/reconcile", put_right, for_operators)  # only the reconciler is asked

    @app.not_found
    def unknown(_: Exception) -> Response[str]:
        return answered(no_route, left_to_the_rules, app.current_event.raw_event)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def unexpected(error: Exception) -> Response[str]:
        telemetry.logger.error("internal error", exc_info=error)
        return refused(InternalError("try again; the function's log has the cause"), promotion_id=None)

    return app


def answered(serve: Callable[..., Response[str]], guard: Guard, event: Event, **parameters: str) -> Response[str]:
    """Serve a route; what it cannot do is told as a problem document."""
    promotion_id = parameters.get("promotion_id")
    is_one = promotion_id is not None and schemas.PROMOTION_ID.fullmatch(promotion_id) is not None
    try:
        guard(event)
        if promotion_id is not None and not is_one:
            raise PromotionNotFound("a promotionId has letters, digits and hyphens, 64 at most")
        return serve(event, **parameters)
    except PromoterError as error:
        telemetry.report_refused(error, route=f"{event.get('routeKey')}", caller=caller(event))
        return refused(error, promotion_id=promotion_id if is_one else None)


def no_route(event: Event) -> Response[str]:
    """Answer what reaches the function and is none of its routes; below /promotions it can only be an odd id."""
    if f"{event.get('rawPath')}".startswith("/promotions/"):
        raise PromotionNotFound("there is no promotion at this path")
    raise RouteNotFound("the API has no route of this method and path")


def promote(event: Event) -> Response[str]:
    """Serve `POST /promotions`."""
    settings = Settings.read()
    promotion_id = schemas.promotion_id(key(event), asking(event), "")
    origin = schemas.Origin(promotion_id, caller(event), settings.registry_id, settings.region)
    try:
        promotion = schemas.read_promotion(body(event), origin)
    except InvalidRequest as error:
        telemetry.report_invalid(error, promotion_id=promotion_id, caller=origin.caller)
        return refused(error, promotion_id=promotion_id)
    return carried_out(promotion)


def roll_back(event: Event, promotion_id: str) -> Response[str]:
    """Serve `POST /promotions/{id}/rollback`."""
    asked = schemas.rollback(body(event))
    what = f"{promotion_id} {asked.image_tags}"
    undo = undoing(event, promotion_id, what, image_tags=asked.image_tags, override=asked.override)
    return rolled_back(event, wiring.history().promotion(promotion_id), undo)


def roll_back_tag(event: Event) -> Response[str]:
    """Serve `POST /rollback`: take back the last promotion of a tag, whichever that was."""
    asked = schemas.tag_rollback(body(event))
    repository = Repository(asked.registry_id or Settings.read().registry_id, asked.repository_name)
    place = f"{repository.registry_id}/{repository.name}:{asked.image_tag}"
    what = f"{place}@{asked.expected_digest}"
    undo = undoing(event, place, what, image_tags=[asked.image_tag], override=asked.override)
    record = repeated(event, undo) or last_promotion(repository, asked.image_tag, asked.expected_digest)
    return rolled_back(event, record, undo)


def undoing(
    event: Event,
    subject: str,
    what: str,
    *,
    image_tags: Sequence[str] | None,
    override: schemas.OverrideBody | None,
) -> rollback.Undo:
    """Return who asks for a rollback of `subject`; an Idempotency-Key stands for `what` and the reason."""
    reason = override.reason if override else None
    return rollback.Undo(
        promotion_id=schemas.promotion_id(key(event), asking(event), subject),
        caller=caller(event),
        image_tags=image_tags,
        fingerprint=f"{what} {reason}" if reason else what,
        override=reason,
    )


def repeated(event: Event, undo: rollback.Undo) -> Record | None:
    """Return what the same call took back before, where it has an Idempotency-Key: by now it is not the last."""
    try:
        earlier = wiring.history().promotion(undo.promotion_id) if key(event) else None
        return wiring.history().promotion(earlier.undoes) if earlier and earlier.undoes else None
    except PromotionNotFound:
        return None


def last_promotion(repository: Repository, image_tag: str, expected_digest: str) -> Record:
    """Return the last promotion of a tag, if that can be taken back by the tag alone."""
    head = wiring.dependencies().ledger.head(repository, image_tag)
    if head is None:
        raise PromotionNotFound(f"no promotion of tag {image_tag} of {repository.name} is known")
    record = wiring.history().promotion(head.promotion_id)
    rollback.require_last(record, head, expected_digest)
    return record


def rolled_back(event: Event, record: Record, undo: rollback.Undo) -> Response[str]:
    """Roll a promotion back, for those who may; only operators whom the setting names may override."""
    if undo.override is not None:
        for_named_operators(event)
    elif names_no_callers(record):
        for_operators(event)
    if record.outcome is None and recover(record.promotion_id, wiring.dependencies()):
        record = wiring.history().promotion(record.promotion_id)
    return carried_out(rollback.promotion(record, undo))


def names_no_callers(record: Record) -> bool:
    """Say whether the rule by which something was promoted leaves it to others who may take it back."""
    return any(rule.name == record.rule and rule.callers is None for rule in wiring.policy().rules)


def carried_out(promotion: Promotion) -> Response[str]:
    """Carry out a promotion, and say how it ended."""
    answer = service.attempt(promotion)
    if isinstance(answer, PromoterError):
        done = [image(promotion.repository, answer.image_digest, move) for move in answer.moves]
        return refused(answer, promotion_id=promotion.promotion_id, images=done)
    return respond(200, JSON, promoted(answer) | ({"undoes": promotion.undoes} if promotion.undoes else {}))


def get_promotion(event: Event, promotion_id: str) -> Response[str]:  # noqa: ARG001 - every route takes the event
    """Serve `GET /promotions/{id}`."""
    return respond(200, JSON, documents.document(wiring.history().promotion(promotion_id)))


def list_promotions(event: Event) -> Response[str]:
    """Serve `GET /promotions`."""
    asked = queries.promotions(parameters(event), Settings.read().registry_id)
    page = wiring.history().promotions(
        asked.repository,
        image_tag=asked.image_tag,
        wanted=asked.wanted,
        limit=asked.limit,
        next_token=asked.next_token,
    )
    found = list(map(history.document, page.entries))
    return respond(200, JSON, {"promotions": found} | views.more(page.next_token))


def list_heads(event: Event) -> Response[str]:
    """Serve `GET /heads`: where the ledger has the tags, and where the registry has them."""
    asked = queries.heads(parameters(event), Settings.read().registry_id)
    wiring.policy().require_repository(asked.repository)
    page = wiring.history().heads(
        asked.repository, image_tag=asked.image_tag, limit=asked.limit, next_token=asked.next_token
    )
    found = views.compared(read_tags(page.entries, wiring.registry()))
    return respond(200, JSON, {"heads": found} | views.more(page.next_token))


def list_freezes(event: Event) -> Response[str]:  # noqa: ARG001 - every route takes the event
    """Serve `GET /freeze`."""
    return respond(200, JSON, {"freezes": [views.frozen(each) for each in wiring.freezes().all()]})


def freeze(event: Event) -> Response[str]:
    """Serve `PUT /freeze`; the answer comes when every invocation that begins from then on goes by it."""
    wanted = queries.freeze(body(event), by=caller(event), rules=wiring.policy().rules)
    wiring.freezes().put(wanted)
    telemetry.logger.warning("frozen", caller=caller(event), freeze=views.frozen(wanted))
    wiring.freezes().spread()
    return respond(200, JSON, views.frozen(wanted))


def lift(event: Event) -> Response[str]:
    """Serve `DELETE /freeze`."""
    scope = queries.scope(parameters(event))
    lifted = wiring.freezes().lift(scope)
    telemetry.logger.warning("freeze lifted", caller=caller(event), lifted=lifted, freeze=views.frozen(scope))
    return respond(200, JSON, {"lifted": lifted})


def put_right(event: Event) -> Response[str]:  # noqa: ARG001 - every route takes the event
    """Serve `POST /reconcile`."""
    from promoter.entrypoints import reconcile_runs  # only the reconciler needs it

    return respond(200, JSON, views.reconciled(reconcile_runs.on_request()))
