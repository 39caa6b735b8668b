"""An HTTP API: every route needs a signature or a token, and every call is in the access log."""

from __future__ import annotations

import json

from aws_cdk import aws_apigatewayv2 as api
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.function import log_group
from infra.settings import Settings

GET, POST, PUT, DELETE = api.HttpMethod.GET, api.HttpMethod.POST, api.HttpMethod.PUT, api.HttpMethod.DELETE
ROUTES = {
    "/promotions": [POST, GET],
    "/promotions/{promotionId}": [GET, DELETE],
    "/promotions/{promotionId}/rollback": [POST],
    "/rollback": [POST],
    "/heads": [GET],
    "/freeze": [GET, PUT, DELETE],
}
RECONCILE = "/reconcile"

# Who called which route, when, and with what result; no bodies (API Gateway developer guide, "Customize HTTP API
# access logs").
ACCESS_LOG = {
    name: f"$context.{variable}"
    for name, variable in {
        "requestId": "requestId",
        "time": "requestTime",
        "ip": "identity.sourceIp",
        "caller": "identity.userArn",
        "subject": "authorizer.claims.sub",
        "route": "routeKey",
        "status": "status",
        "milliseconds": "responseLatency",
        "error": "error.message",
        "integrationError": "integrationErrorMessage",
    }.items()
}


class PromotionApi(Construct):
    """An HTTP API, `http`, in front of the functions; `url` ends without a slash. Every route has the authorizer.

    The authorizer decides what API Gateway tells the function of a caller: of a signature the IAM identity, of a
    token its claims, and never both.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        reconciler: lambda_.IFunction,
        authorizer: api.IHttpRouteAuthorizer,
        description: str,
        settings: Settings,
    ) -> None:
        super().__init__(scope, construct_id)
        http = api.HttpApi(
            self, "Http", default_authorizer=authorizer, description=description, create_default_stage=False
        )
        self.http = http
        integration = integrations.HttpLambdaIntegration("Promoter", function)
        for path, methods in ROUTES.items():
            http.add_routes(path=path, methods=methods, integration=integration)
        http.add_routes(
            path=RECONCILE,
            methods=[POST],
            integration=integrations.HttpLambdaIntegration("Reconciler", reconciler),
        )
        stage = http.add_stage(
            "Stage",
            auto_deploy=True,
            throttle=api.ThrottleSettings(rate_limit=settings.apiRate, burst_limit=settings.apiBurst),
        )
        access_log = log_group(self, "AccessLog", settings)
        resource = stage.node.default_child
        if not isinstance(resource, api.CfnStage):
            raise TypeError("the stage is not an AWS::ApiGatewayV2::Stage")
        resource.access_log_settings = api.CfnStage.AccessLogSettingsProperty(
            destination_arn=access_log.log_group_arn, format=json.dumps(ACCESS_LOG)
        )
        self.url = stage.url.rstrip("/") if stage.url else ""


def for_signatures() -> api.IHttpRouteAuthorizer:
    """Return the authorizer that admits requests signed with SigV4, if IAM lets the caller invoke the route."""
    return authorizers.HttpIamAuthorizer()


def for_tokens(settings: Settings) -> api.IHttpRouteAuthorizer:
    """Return the authorizer that admits tokens of the settings' issuer for one of the settings' audiences."""
    return authorizers.HttpJwtAuthorizer("Jwt", settings.jwtIssuer or "", jwt_audience=settings.jwtAudience)
