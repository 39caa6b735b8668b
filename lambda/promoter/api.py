"""The HTTP API: its routes. Imported only when an HTTP request comes."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from promoter import queries, records, requests, rollback, service, telemetry, wiring
from promoter.errors import (
    InternalError,
    InvalidRequest,
    NotAllowed,
    PromoterError,
    PromotionNotFound,
    RouteNotFound,
)
from promoter.model import Promotion, Record, Repository
from promoter.policy import matches
from promoter.principal import principal
from promoter.responses import image, promoted, refused, respond
from promoter.settings import Settings
from promoter.settle import settle

GITHUB = "https://token.actions.githubusercontent.com"
JSON = "application/json"
ENOUGH = 10_000
"""Milliseconds that have to be left for one more step of reconcile."""

Event = Mapping[str, Any]
Guard = Callable[[Event], None]
"""Raises NotAllowed for a caller that a route is not for."""


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

    def put_right(_: Event) -> Response[str]:
        in_time = app.lambda_context.get_remaining_time_in_millis
        done = service.put_right(lambda: in_time() > ENOUGH)
        return respond(200, JSON, queries.reconciled(done))

    route("POST", "/promotions", promote, left_to_the_rules)
    route("GET", "/promotions", list_promotions, for_the_known)
    route("GET", "/promotions/<promotion_id>", get_promotion, for_the_known)
    route("POST", "/promotions/<promotion_id>/rollback", roll_back, for_the_known)
    route("POST", "/rollback", roll_back_tag, for_the_known)
    route("GET", "/heads", list_heads, for_the_known)
    route("GET", "/freeze", list_freezes, for_the_known)
    route("PUT", "/freeze", freeze, for_operators)
    route("DELETE", "/freeze", lift, for_operators)
    route("POST", "/reconcile", put_right, for_operators)

    @app.not_found
    def unknown(_: Exception) -> Response[str]:
        return answered(no_route, left_to_the_rules, app.current_event.raw_event)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def unexpected(error: Exception) -> Response[str]:
        telemetry.logger.error("internal error", exc_info=error)
        return refused(InternalError("try again; the function's log has the cause"), promotion_id=None)

    return app


def left_to_the_rules(event: Event) -> None:
    """Let in whom API Gateway lets in: the policy judges."""


def for_the_known(event: Event) -> None:
    """Let in operators, and the callers that rules name."""
    globs = {glob for rule in wiring.policy().rules for glob in rule.callers or ()}
    if not any(matches(caller(event) or "", glob) for glob in globs):
        for_operators(event)


def for_operators(event: Event) -> None:
    """Let in those whom the setting `operators` names; where it names nobody, all whom API Gateway lets in."""
    if Settings.read().operators:
        for_named_operators(event)


def for_named_operators(event: Event) -> None:
    """Let in those whom the setting `operators` names, and nobody where it is left out."""
    if not any(matches(caller(event) or "", glob) for glob in Settings.read().operators):
        raise NotAllowed(f"caller {caller(event)} is no operator: the setting operators names who is")


def answered(serve: Callable[..., Response[str]], guard: Guard, event: Event, **parameters: str) -> Response[str]:
    """Serve a route; what it cannot do is told as a problem document."""
    promotion_id = parameters.get("promotion_id")
    is_one = promotion_id is not None and requests.PROMOTION_ID.fullmatch(promotion_id) is not None
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
    promotion_id = requests.promotion_id(key(event), asking(event), "")
    origin = requests.Origin(promotion_id, caller(event), settings.registry_id, settings.region)
    try:
        wish = requests.promotion(body(event), origin)
    except InvalidRequest as error:
        telemetry.report_invalid(error, promotion_id=promotion_id, caller=origin.caller)
        return refused(error, promotion_id=promotion_id)
    return carried_out(wish)


def roll_back(event: Event, promotion_id: str) -> Response[str]:
    """Serve `POST /promotions/{id}/rollback`."""
    asked = requests.rollback(body(event))
    undo = rollback.Undo(
        promotion_id=requests.promotion_id(key(event), asking(event), promotion_id),
        caller=caller(event),
        image_tags=asked.image_tags,
        fingerprint=f"{promotion_id} {asked.image_tags}" + (f" {asked.reason}" if asked.reason else ""),
        override=asked.reason,
    )
    return rolled_back(event, wiring.history().promotion(promotion_id), undo)


def roll_back_tag(event: Event) -> Response[str]:
    """Serve `POST /rollback`: take back the last promotion of a tag, whichever that was."""
    asked = requests.tag_rollback(body(event))
    repository = Repository(asked.registry_id or Settings.read().registry_id, asked.repository_name)
    place = f"{repository.registry_id}/{repository.name}:{asked.image_tag}"
    undo = rollback.Undo(
        promotion_id=requests.promotion_id(key(event), asking(event), place),
        caller=caller(event),
        image_tags=[asked.image_tag],
        fingerprint=f"{place}@{asked.expected_digest}" + (f" {asked.reason}" if asked.reason else ""),
        override=asked.reason,
    )
    record = repeated(event, undo) or last_promotion(repository, asked.image_tag, asked.expected_digest)
    return rolled_back(event, record, undo)


def repeated(event: Event, undo: rollback.Undo) -> Record | None:
    """Return what the same call took back before, where it has an Idempotency-Key: by now it is not the last."""
    try:
        earlier = wiring.history().promotion(undo.promotion_id) if key(event) else None
        return wiring.history().promotion(earlier.undoes) if earlier and earlier.undoes else None
    except PromotionNotFound:
        return None


def last_promotion(repository: Repository, image_tag: str, expected_digest: str) -> Record:
    """Return the last promotion of a tag, if that can be taken back by the tag alone."""
    head = wiring.world().ledger.head(repository, image_tag)
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
    if record.outcome is None and settle(record.promotion_id, wiring.world()):
        record = wiring.history().promotion(record.promotion_id)
    return carried_out(rollback.wish(record, undo))


def names_no_callers(record: Record) -> bool:
    """Say whether the rule by which something was promoted leaves it to others who may take it back."""
    return any(rule.name == record.rule and rule.callers is None for rule in wiring.policy().rules)


def carried_out(wish: Promotion) -> Response[str]:
    """Carry a wish out, and tell how it ended."""
    answer = service.attempt(wish)
    if isinstance(answer, PromoterError):
        done = [image(wish.repository, answer.image_digest, move) for move in answer.moves]
        return refused(answer, promotion_id=wish.promotion_id, images=done)
    return respond(200, JSON, promoted(answer) | ({"undoes": wish.undoes} if wish.undoes else {}))


def get_promotion(event: Event, promotion_id: str) -> Response[str]:  # noqa: ARG001 - every route takes the event
    """Serve `GET /promotions/{id}`."""
    return respond(200, JSON, records.document(wiring.history().promotion(promotion_id)))


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
    found = [records.document(record) for record in page.entries]
    return respond(200, JSON, {"promotions": found} | queries.more(page.next_token))


def list_heads(event: Event) -> Response[str]:
    """Serve `GET /heads`: where the ledger has the tags, and where the registry has them."""
    asked = queries.heads(parameters(event), Settings.read().registry_id)
    wiring.policy().require_repository(asked.repository)
    page = wiring.history().heads(
        asked.repository, image_tag=asked.image_tag, limit=asked.limit, next_token=asked.next_token
    )
    found = queries.compared(page.entries, wiring.registry())
    return respond(200, JSON, {"heads": found} | queries.more(page.next_token))


def list_freezes(event: Event) -> Response[str]:  # noqa: ARG001 - every route takes the event
    """Serve `GET /freeze`."""
    return respond(200, JSON, {"freezes": [queries.frozen(each) for each in wiring.freezes().all()]})


def freeze(event: Event) -> Response[str]:
    """Serve `PUT /freeze`; the answer comes when every invocation that begins from then on goes by it."""
    wanted = queries.freeze(body(event), by=caller(event), rules=wiring.policy().rules)
    wiring.freezes().put(wanted)
    telemetry.logger.warning("frozen", caller=caller(event), freeze=queries.frozen(wanted))
    wiring.freezes().spread()
    return respond(200, JSON, queries.frozen(wanted))


def lift(event: Event) -> Response[str]:
    """Serve `DELETE /freeze`."""
    scope = queries.scope(parameters(event))
    lifted = wiring.freezes().lift(scope)
    telemetry.logger.warning("freeze lifted", caller=caller(event), lifted=lifted, freeze=queries.frozen(scope))
    return respond(200, JSON, {"lifted": lifted})


def caller(event: Event) -> str | None:
    """Return who API Gateway authenticated, as a rule's `callers` name it; None for nobody.

    With SigV4 the IAM ARN. With a token `github:` and the subject of GitHub's OIDC token without its `repo:`,
    `github:OWNER/REPO:environment:prod`, or `jwt:` and the subject of any other issuer's.
    """
    authorizer = event["requestContext"].get("authorizer") or {}
    if "iam" in authorizer:
        return (authorizer["iam"] or {}).get("userArn")
    subject = str(claims(event).get("sub") or "")
    if not subject or subject != subject.encode(errors="replace").decode():  # half a surrogate pair names nobody
        return None
    if claims(event).get("iss") == GITHUB:
        return f"github:{subject.removeprefix('repo:')}"
    return f"jwt:{subject}"


def claims(event: Event) -> Mapping[str, Any]:
    """Return what a token says, once API Gateway has verified it; nothing for a signed request."""
    authorizer = event["requestContext"].get("authorizer") or {}
    return (authorizer.get("jwt") or {}).get("claims") or {}


def asking(event: Event) -> str:
    """Return the principal that asks: to it the Idempotency-Key belongs."""
    return principal(caller(event), issuer=claims(event).get("iss"))


def key(event: Event) -> str | None:
    """Return the Idempotency-Key; header names come in lower case."""
    return (event.get("headers") or {}).get("idempotency-key")


def parameters(event: Event) -> Mapping[str, str]:
    """Return the query string's parameters; one that is given twice comes with a comma between."""
    return event.get("queryStringParameters") or {}


def body(event: Event) -> bytes:
    """Return the body's bytes; API Gateway encodes what it takes for binary."""
    text = event.get("body") or ""
    try:
        return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError as error:  # half a surrogate pair, or no base64
        raise InvalidRequest(f"the body is not JSON: {error}", field="body") from error
