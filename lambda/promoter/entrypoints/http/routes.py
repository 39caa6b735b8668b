"""The HTTP API: its routes. Imported only when an HTTP request comes."""

from __future__ import annotations

import functools
from collections.abc import Callable

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from promoter import telemetry, wiring
from promoter.domain import documents, history
from promoter.domain.clock import utc_now
from promoter.domain.errors import InternalError, InvalidRequest, PromoterError, PromotionNotFound, RouteNotFound
from promoter.domain.model import Promotion
from promoter.domain.waiting import as_of
from promoter.entrypoints import service
from promoter.entrypoints.http import gateway, views
from promoter.entrypoints.http.gateway import Event
from promoter.entrypoints.http.guards import (
    Guard,
    admit_all,
    admit_known_callers,
    admit_operators,
    admit_requester,
    promotion_for,
)
from promoter.entrypoints.http.origin import is_promotion_id
from promoter.entrypoints.http.schemas import freezes, listings, promotions, rollbacks
from promoter.entrypoints.http.views import refused, respond
from promoter.promotion.drift_checks import read_tags
from promoter.promotion.rollbacks import plan_rollback, plan_tag_rollback
from promoter.settings import Settings

Serve = Callable[..., Response[str]]


@functools.cache
def resolver() -> APIGatewayHttpResolver:
    """Build the routes, once."""
    app = APIGatewayHttpResolver()

    def route(method: str, path: str, serve: Serve, guard: Guard) -> None:
        def served(**parameters: str) -> Response[str]:
            if app.current_event.path.endswith("\n"):  # the router's patterns end with $, which is also before it
                return answer(no_route, admit_all, app.current_event)
            return answer(serve, guard, app.current_event, **parameters)

        app.route(path, method=method)(served)

    for each in ROUTES:
        route(*each)

    @app.not_found
    def unknown(_: Exception) -> Response[str]:
        return answer(no_route, admit_all, app.current_event)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def unexpected(error: Exception) -> Response[str]:
        telemetry.logger.error("internal error", exc_info=error)
        return refused(
            InternalError("The service failed. Retry. The function's log has the cause."), promotion_id=None
        )

    return app


def answer(serve: Serve, guard: Guard, event: Event, **parameters: str) -> Response[str]:
    """Serve a route. This is the one place that turns errors into problem documents."""
    promotion_id = parameters.get("promotion_id")
    is_odd = promotion_id is not None and not is_promotion_id(promotion_id)
    try:
        guard(event)
        if is_odd:
            raise PromotionNotFound("A promotionId has letters, digits and hyphens, 64 at most.")
        return serve(event, **parameters)
    except PromoterError as error:
        telemetry.report_refused(error, route=f"{event.get('routeKey')}", caller=gateway.caller(event))
        return refused(error, promotion_id=None if is_odd else promotion_id)


def no_route(event: Event) -> Response[str]:
    """Answer what reaches the function on a path that has no route. Below /promotions the cause is an odd id."""
    if f"{event.get('rawPath')}".startswith("/promotions/"):
        raise PromotionNotFound("There is no promotion at this path.")
    raise RouteNotFound("The API has no route with this method and path.")


def promote(event: Event) -> Response[str]:
    """Serve `POST /promotions`. A request that cannot be read counts as a promotion, with a promotionId."""
    origin = gateway.origin(event)
    promotion_id = origin.promotion_id()
    try:
        promotion = promotions.read(gateway.body(event), origin, promotion_id)
    except InvalidRequest as error:
        telemetry.report_invalid(error, promotion_id=promotion_id, caller=origin.caller)
        return refused(error, promotion_id=promotion_id)
    return carry_out(promotion)


def roll_back(event: Event, promotion_id: str) -> Response[str]:
    """Serve `POST /promotions/{id}/rollback`."""
    undo = rollbacks.read(gateway.body(event), gateway.origin(event), promotion_id)
    return carry_out(plan_rollback(promotion_id, undo, wiring.dependencies()))


def roll_back_tag(event: Event) -> Response[str]:
    """Serve `POST /rollback`: take back the last promotion of a tag, whichever that was."""
    origin = gateway.origin(event)
    asked = rollbacks.read_by_tag(gateway.body(event), origin)
    promotion = plan_tag_rollback(
        asked.repository,
        asked.image_tag,
        asked.expected_digest,
        asked.undo,
        wiring.dependencies(),
        is_repeat_possible=origin.idempotency_key is not None,
    )
    return carry_out(promotion)


def carry_out(promotion: Promotion) -> Response[str]:
    """Carry out a promotion, and say how it ended."""
    return views.answered(promotion, service.carry_out(promotion))


def get_promotion(event: Event, promotion_id: str) -> Response[str]:
    """Serve `GET /promotions/{id}`."""
    record = promotion_for(event, promotion_id, admit_known_callers)
    return respond(documents.document(as_of(record, utc_now())))


def cancel_promotion(event: Event, promotion_id: str) -> Response[str]:
    """Serve `DELETE /promotions/{id}`: give up a promotion that waits."""
    from promoter.promotion import waiting  # loaded where something waits

    record = promotion_for(event, promotion_id, admit_operators)
    cancelled = waiting.cancel(record, gateway.caller(event), wiring.dependencies())
    if record.outcome is not cancelled.outcome:  # not by an earlier call
        telemetry.report_cancelled(cancelled)
    return respond(documents.document(cancelled))


def list_promotions(event: Event) -> Response[str]:
    """Serve `GET /promotions`: those of a repository that ended, or those that wait."""
    asked = listings.read_promotions(event.query_string_parameters, Settings.read().registry_id)
    if isinstance(asked, listings.WaitingListing):
        page = wiring.history().waiting(
            repository=asked.repository,
            image_tag=asked.image_tag,
            wanted=asked.wanted,
            limit=asked.limit,
            next_token=asked.next_token,
        )
    else:
        page = wiring.history().promotions(
            asked.repository,
            image_tag=asked.image_tag,
            wanted=asked.wanted,
            limit=asked.limit,
            next_token=asked.next_token,
        )
    return respond(views.page("promotions", [history.document(each) for each in page.entries], page.next_token))


def list_heads(event: Event) -> Response[str]:
    """Serve `GET /heads`: where the ledger has the tags, and where the registry has them."""
    asked = listings.read_heads(event.query_string_parameters, Settings.read().registry_id)
    wiring.policy().require_repository(asked.repository)
    page = wiring.history().heads(
        asked.repository, image_tag=asked.image_tag, limit=asked.limit, next_token=asked.next_token
    )
    found = read_tags(page.entries, wiring.registry())
    return respond(views.page("heads", views.compared(found), page.next_token))


def list_freezes(event: Event) -> Response[str]:  # noqa: ARG001 - every route takes the event
    """Serve `GET /freeze`."""
    return respond({"freezes": [views.frozen(each) for each in wiring.freezes().all()]})


def freeze(event: Event) -> Response[str]:
    """Serve `PUT /freeze`. Every promotion that begins after the answer obeys the freeze."""
    caller = gateway.caller(event)
    wanted = freezes.read(gateway.body(event), by=caller, rules=wiring.policy().rules)
    wiring.freezes().put(wanted)
    telemetry.logger.warning("frozen", caller=caller, freeze=views.frozen(wanted))
    wiring.freezes().spread()
    return respond(views.frozen(wanted))


def lift(event: Event) -> Response[str]:
    """Serve `DELETE /freeze`."""
    scope = freezes.read_scope(event.query_string_parameters)
    lifted = wiring.freezes().lift(scope)
    telemetry.logger.warning(
        "freeze lifted", caller=gateway.caller(event), lifted=lifted, freeze=views.frozen(scope)
    )
    if lifted:
        service.try_frozen_soon()
    return respond({"lifted": lifted})


def reconcile(event: Event) -> Response[str]:  # noqa: ARG001 - every route takes the event
    """Serve `POST /reconcile`."""
    from promoter.entrypoints import reconcile_runs  # only the reconciler needs it

    return respond(views.reconciled(reconcile_runs.on_request()))


ROUTES: tuple[tuple[str, str, Serve, Guard], ...] = (
    ("POST", "/promotions", promote, admit_all),
    ("GET", "/promotions", list_promotions, admit_known_callers),
    ("GET", "/promotions/<promotion_id>", get_promotion, admit_requester),
    ("DELETE", "/promotions/<promotion_id>", cancel_promotion, admit_requester),
    ("POST", "/promotions/<promotion_id>/rollback", roll_back, admit_known_callers),
    ("POST", "/rollback", roll_back_tag, admit_known_callers),
    ("GET", "/heads", list_heads, admit_known_callers),
    ("GET", "/freeze", list_freezes, admit_known_callers),
    ("PUT", "/freeze", freeze, admit_operators),
    ("DELETE", "/freeze", lift, admit_operators),
    ("POST", "/reconcile", reconcile, admit_operators),  # API Gateway sends it to the reconciler
)
"""All routes: method, path, what serves it, and who may use it. infra/openapi describes each of them."""
