"""The stack with `authorization: jwt`, and an issuer of tokens: who gets in, as whom, and what they may do."""

from __future__ import annotations

import http.client
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local import __main__ as commands
from local import process, pusher
from tests.e2e.conftest import Stack, ask
from tests.support import github, gitlab, snippets
from tests.support import issuer as tokens
from tests.support.issuer import Issuer, Key
from tests.support.runners import UVX

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

AUDIENCE = "ecr-promoter"
WEB, OPS, STRANGER = "project_path:acme/web:main", "project_path:acme/ops:stop", "project_path:evil/web:main"
POLICY = """
rules:
  - name: prod
    on: request
    repositories: ["team/*"]
    to: ["prod"]
    callers: ["jwt:project_path:acme/web:*", "arn:aws:iam::*:root"]
  - name: by-signature
    on: request
    repositories: ["team/*"]
    to: ["signed"]
    callers: ["arn:aws:iam::*:root"]
"""
Answer = tuple[int, dict[str, str], dict[str, Any]]


@dataclass(frozen=True)
class TokenStack(Stack):
    """A deployed stack with an API for tokens, and the issuer that it trusts."""

    issuer: Issuer

    def send(
        self,
        token: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        api: str = "PROMOTER_TOKEN_API_URL",
        **headers: str,
    ) -> Answer:
        """Call an API with a token; return status, headers and document."""
        url = urlsplit(f"{self.variables[api]}{path}")
        sent = {
            "content-type": "application/json",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(url.netloc, timeout=60)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"{url.path}?{url.query}" if url.query else url.path, text, sent)
            response = connection.getresponse()
            answered = {name.lower(): value for name, value in response.getheaders()}
            return response.status, answered, json.loads(response.read())
        finally:
            connection.close()

    def promote(self, token: str | None, repository: str, **members: Any) -> Answer:
        """Ask for `prod` on `candidate`."""
        return self.send(token, "POST", "/promotions", ask(repository, **members))

    def image(self) -> str:
        """Push an image as `candidate` into a new repository; return the repository's name."""
        repository = self.repository()
        pusher.push_image(self.aws.registry, repository, "candidate", seed=repository)
        return repository

    def good(self, subject: str = WEB, **claims: Any) -> str:
        """Return a good token, changed by the claims given, or signed with another `key`."""
        return self.issuer.token(subject, AUDIENCE, **claims)

    def claims(self) -> dict[str, Any]:
        """Return the claims of a good token."""
        return self.issuer.claims(WEB, AUDIENCE)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the keys."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def tokened(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[TokenStack]:
    """Deploy as `make local SETTINGS="-c authorization=jwt …"` does, to a local AWS that trusts the issuer."""
    directory = tmp_path_factory.mktemp("local-aws")
    policy = directory / "promotions.yaml"
    policy.write_text(POLICY)
    published = Key.make(keys, "one"), Key.make(keys, "curve", "ES256")
    with tokens.running(keys, *published) as issuer, pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(issuer.certificate))
        aws = process.start(directory, retry_seconds=0.1)
        try:
            settings = {
                "authorization": "jwt",
                "jwtIssuer": issuer.url,
                "jwtAudience": f"another,{AUDIENCE}",
                "operators": f"arn:aws:iam::*:root,jwt:{OPS}",
            }
            context = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            assert commands.main(["up", "--directory", str(directory), "--policy", str(policy), *context]) == 0
            lines = (directory / "env").read_text().splitlines()
            variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
            yield TokenStack(aws, {name: text.strip("'") for name, text in variables.items()}, issuer)
        finally:
            process.stop(directory)


def test_a_good_token_promotes_reads_and_rolls_back(tokened: TokenStack) -> None:
    """By the rules that name its subject. The record has the subject as the caller."""
    repository, token = tokened.image(), tokened.good()

    status, _, promoted = tokened.promote(token, repository)
    assert (status, promoted["outcome"]) == (200, "PROMOTED")
    assert "prod" in tokened.tags(repository)
    status, _, read = tokened.send(token, "GET", f"/promotions/{promoted['promotionId']}")
    assert (status, read["caller"]) == (200, f"jwt:{WEB}")
    status, _, heads = tokened.send(token, "GET", f"/heads?repositoryName={repository}")
    assert (status, [head["imageTag"] for head in heads["heads"]]) == (200, ["prod"])

    before = tokened.tags(repository)["prod"]
    pusher.push_image(tokened.aws.registry, repository, "candidate", seed=f"{repository} again")
    _, _, newer = tokened.promote(token, repository)
    status, _, undone = tokened.send(token, "POST", f"/promotions/{newer['promotionId']}/rollback", {})
    assert (status, undone["outcome"], tokened.tags(repository)["prod"]) == (200, "PROMOTED", before)


def test_both_apis_serve_the_same_ledger(tokened: TokenStack) -> None:
    """What a token has promoted, a signature reads, and finds already there."""
    repository = tokened.image()

    _, _, promoted = tokened.promote(tokened.good(), repository)

    assert tokened.call("GET", f"/promotions/{promoted['promotionId']}")[0] == 200
    status, again = tokened.post(ask(repository))
    assert (status, again["outcome"]) == (200, "UNCHANGED")


HOUR, DAY = 3600, 86_400  # seconds
REFUSED: dict[str, tuple[str, Callable[[TokenStack, Path, int], str]]] = {
    "expired": ("the token has expired", lambda stack, _, now: stack.good(exp=now - 1)),
    "without exp": ("the token has expired", lambda stack, *_: stack.good(exp=None)),
    "not yet valid": (
        "the token is not valid yet",
        lambda stack, _, now: stack.good(nbf=now + HOUR, exp=now + 2 * HOUR),
    ),
    "of tomorrow": (
        "the token is not valid yet",
        lambda stack, _, now: stack.good(iat=now + DAY, nbf=None, exp=now + 2 * DAY),
    ),
    "of another audience": (
        "the token does not have a valid audience",
        lambda stack, *_: stack.good(aud="https://github.com/acme"),
    ),
    "without an audience": ("the token does not have a valid audience", lambda stack, *_: stack.good(aud=None)),
    "of another issuer": (
        "the token does not have a valid issuer",
        lambda stack, *_: stack.good(iss="https://issuer.example"),
    ),
    "of another issuer's key": (
        "the issuer has no such key",
        lambda stack, keys, _: stack.good(iss="https://issuer.example", key=Key.make(keys, "foreign")),
    ),
    "of another key with the same name": (
        "the signature is invalid",
        lambda stack, keys, _: stack.good(key=Key.make(keys, stack.issuer.keys[0].kid, name="namesake")),
    ),
    "with a changed payload": (
        "the signature is invalid",
        lambda stack, *_: tokens.with_claims(stack.good(STRANGER), sub=WEB),
    ),
    "without its signature": ("the signature is invalid", lambda stack, *_: f"{stack.good().rpartition('.')[0]}."),
    "unsigned": (
        "signing method none is invalid",
        lambda stack, *_: tokens.without_signature(stack.claims(), kid=stack.issuer.keys[0].kid),
    ),
    "unsigned in another case": (
        "signing method NoNe is invalid",
        lambda stack, *_: tokens.without_signature(stack.claims(), kid=stack.issuer.keys[0].kid, algorithm="NoNe"),
    ),
    "HS256 with the public key": (
        "signing method HS256 is invalid",
        lambda stack, *_: tokens.signed_with_secret(
            stack.claims(), stack.issuer.keys[0].public, kid=stack.issuer.keys[0].kid
        ),
    ),
    "ES256": ("signing method ES256 is invalid", lambda stack, *_: stack.good(key=stack.issuer.keys[1])),
    "no token": ("the token is not a JWT", lambda *_: "bm8.dG9rZW4"),
}
"""Tokens that are good but for one thing, by what that is; why API Gateway refuses each, and how it is made."""


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_token_does_not_reach_the_function(tokened: TokenStack, keys: Path, kind: str) -> None:
    """API Gateway answers 401 and says why. Nothing moves, and the function has no record of the call."""
    repository = tokened.image()

    reason, make = REFUSED[kind]

    status, headers, document = tokened.promote(make(tokened, keys, int(time.time())), repository)

    assert (status, document) == (401, {"message": "Unauthorized"})
    assert f'error_description="{reason}"' in headers["www-authenticate"]
    assert set(tokened.tags(repository)) == {"candidate"}
    assert tokened.promote(tokened.good(), repository)[0] == 200  # whose record is the only one
    assert len(tokened.records(repository)) == 1


def test_without_a_token_nobody_gets_in(tokened: TokenStack) -> None:
    """On no route."""
    for method, path in (
        ("POST", "/promotions"),
        ("GET", "/freeze"),
        ("PUT", "/freeze"),
        ("DELETE", "/freeze"),
        ("POST", "/reconcile"),
        ("POST", "/rollback"),
    ):
        status, headers, document = tokened.send(None, method, path, {} if method in ("POST", "PUT") else None)
        assert (status, headers["www-authenticate"], document) == (401, "Bearer", {"message": "Unauthorized"})


def test_a_stranger_with_a_good_token_may_do_nothing(tokened: TokenStack) -> None:
    """Everybody gets tokens of a public issuer for any audience: the policy keeps them out, also from reading."""
    repository, token = tokened.image(), tokened.good(STRANGER)
    _, _, promoted = tokened.promote(tokened.good(), repository)
    own = f"/promotions/{promoted['promotionId']}"

    for method, path, body in (
        ("POST", "/promotions", ask(repository)),
        ("POST", f"{own}/rollback", {}),
        (
            "POST",
            "/rollback",
            {"repositoryName": repository, "imageTag": "prod", "expectedDigest": f"sha256:{64 * '0'}"},
        ),
        ("GET", own, None),
        ("GET", f"/promotions?repositoryName={repository}", None),
        ("GET", f"/heads?repositoryName={repository}", None),
        ("GET", "/freeze", None),
        ("PUT", "/freeze", {"reason": "mine"}),
        ("DELETE", "/freeze", None),
        ("POST", "/reconcile", {}),
    ):
        status, _, problem = tokened.send(token, method, path, body)
        assert (status, problem["code"]) == (403, "not_allowed"), (method, path)


def test_tokens_freeze_and_reconcile_only_as_operators(tokened: TokenStack) -> None:
    """A pipeline that a rule names is not an operator. One that `operators` names may freeze, and not promote."""
    repository, pipeline, operator = tokened.image(), tokened.good(), tokened.good(OPS)
    scope = {"repositories": repository, "reason": "stop"}

    for method, path, body in (("PUT", "/freeze", scope), ("DELETE", "/freeze", None), ("POST", "/reconcile", {})):
        status, _, problem = tokened.send(pipeline, method, path, body)
        assert (status, problem["code"]) == (403, "not_allowed")
    assert tokened.promote(operator, repository)[2]["code"] == "not_allowed"

    status, _, _ = tokened.send(operator, "PUT", "/freeze", scope)
    assert status == 200
    try:
        assert tokened.promote(pipeline, repository)[2]["code"] == "frozen"
    finally:  # with a signature: what one API freezes, the other lifts
        assert tokened.call("DELETE", f"/freeze?repositories={repository}")[0] == 200
    assert tokened.promote(pipeline, repository)[0] == 200
    assert tokened.send(operator, "POST", "/reconcile", {})[0] == 200


def test_a_signature_does_not_open_the_api_for_tokens(tokened: TokenStack) -> None:
    """Not even the administrator's, in the header or in the query."""
    repository = tokened.image()
    swapped = tokened.variables | {"PROMOTER_API_URL": tokened.variables["PROMOTER_TOKEN_API_URL"]}

    status, document = Stack(tokened.aws, swapped).post(ask(repository))
    assert (status, document) == (401, {"message": "Unauthorized"})

    status, _, document = tokened.send(None, "POST", presigned(tokened, "PROMOTER_TOKEN_API_URL"), ask(repository))
    assert (status, document) == (401, {"message": "Unauthorized"})
    assert set(tokened.tags(repository)) == {"candidate"}


def test_a_token_does_not_open_the_api_for_signatures(tokened: TokenStack) -> None:
    """Not even an operator's."""
    repository = tokened.image()

    for subject in (WEB, OPS):
        status, _, document = tokened.send(
            tokened.good(subject), "POST", "/promotions", ask(repository), api="PROMOTER_API_URL"
        )
        assert (status, set(document)) == (403, {"message"})
    assert set(tokened.tags(repository)) == {"candidate"}


def test_nobody_sends_an_iam_identity_through_the_api_for_tokens(tokened: TokenStack) -> None:
    """Not by a signature beside the token, nor by claims, headers or members that look like one."""
    repository, root = tokened.image(), f"arn:aws:iam::{tokened.aws.account_id}:root"
    claims: dict[str, Any] = {"iam": {"userArn": root}, "userArn": root, "authorizer": {"iam": {"userArn": root}}}
    body = ask(repository, imageTag="signed")
    signed = presigned(tokened, "PROMOTER_TOKEN_API_URL")

    for token, path, headers in (
        (tokened.good(root), "/promotions", {}),
        (tokened.good(**claims), "/promotions", {}),
        (tokened.good(), signed, {}),
        (tokened.good(), "/promotions", {"x_amzn_iam_user_arn": root, "x_amz_security_token": "x"}),
    ):
        status, _, problem = tokened.send(token, "POST", path, body, **headers)
        assert (status, problem["code"]) == (403, "not_allowed"), path
    status, problem = tokened.call("POST", "/promotions", body | {"caller": root}, signed=True)
    assert status == 400
    assert "signed" not in tokened.tags(repository)
    assert tokened.post(body)[0] == 200


def test_nobody_sends_claims_through_the_api_for_signatures(tokened: TokenStack) -> None:
    """A signed caller is its ARN, whatever else it sends: neither a rule for tokens nor an operator's."""
    repository = tokened.image()
    iam, name = tokened.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = (key["AccessKeyId"], key["SecretAccessKey"])
    forged = [f"x-token: {tokened.good()}", f"x-amzn-oidc-data: {tokened.good(OPS)}"]

    for method, path, body in (("POST", "/promotions", ask(repository)), ("POST", "/reconcile", {})):
        status, problem = tokened.call(method, path, body, user=user, headers=forged)
        assert (status, problem["code"]) == (403, "not_allowed")
        assert name in problem["detail"] or name in json.dumps(problem.get("reasons"))


def test_a_key_belongs_to_its_caller_on_either_api(tokened: TokenStack) -> None:
    """An Idempotency-Key of a token is not that of a signature."""
    repository, key = tokened.image(), {"idempotency_key": uuid.uuid4().hex}

    _, _, one = tokened.send(tokened.good(), "POST", "/promotions", ask(repository), **key)
    _, _, again = tokened.send(tokened.good(), "POST", "/promotions", ask(repository), **key)
    _, other = tokened.call(
        "POST", "/promotions", ask(repository), headers=[f"idempotency-key: {key['idempotency_key']}"]
    )

    assert one["promotionId"] == again["promotionId"] != other["promotionId"]


def test_the_github_action_sends_the_token_of_its_job(tokened: TokenStack, tmp_path: Path) -> None:
    """It asks GitHub for one for the audience, as a job may. AWS credentials are not needed."""
    repository, token = tokened.image(), tokened.good()

    with github.tokens_of_the_job(lambda audience: token if audience == AUDIENCE else None) as job:
        ended = github.run(
            tmp_path,
            UVX,
            environment=job,
            repository=repository,
            source="candidate",
            to="prod",
            api_url=tokened.variables["PROMOTER_TOKEN_API_URL"],
            audience=AUDIENCE,
        )

    assert ended.code == 0, ended.log
    assert ended.outputs["outcome"] == "PROMOTED"
    assert tokened.tags(repository)["prod"] == ended.outputs["digest"]
    assert token not in ended.log + ended.summary + str(ended.outputs)
    _, record = tokened.call("GET", f"/promotions/{ended.outputs['promotion-id']}")
    assert record["caller"] == f"jwt:{WEB}"


def test_a_job_of_gitlab_sends_its_token(tokened: TokenStack, tmp_path: Path) -> None:
    """As the how-to page includes the component, without a role. AWS credentials are not needed."""
    repository, token = tokened.image(), tokened.good()
    inputs = snippets.gitlab_inputs() | {"repository": repository, "source": "candidate", "role_to_assume": ""}

    ended = gitlab.run(
        tmp_path,
        UVX,
        token={AUDIENCE: token}.__getitem__,
        environment={"PROMOTER_API_URL": tokened.variables["PROMOTER_TOKEN_API_URL"]},
        **inputs,
    )

    assert ended.code == 0, ended.log
    assert tokened.tags(repository)["prod"] == ended.variables["PROMOTER_DIGEST"]
    assert token not in ended.log + str(ended.answer)
    _, record = tokened.call("GET", f"/promotions/{ended.variables['PROMOTER_PROMOTION_ID']}")
    assert record["caller"] == f"jwt:{WEB}"


def test_a_job_of_jenkins_sends_its_token(tokened: TokenStack, tmp_path: Path) -> None:
    """As the how-to page shows it. Jenkins traces each command into the log: the token is in none."""
    repository, token = tokened.repository(), tokened.good()
    pusher.push_image(tokened.aws.registry, repository, "staging", seed=repository)
    known = {"ECR_PROMOTER_API_URL": tokened.variables["PROMOTER_TOKEN_API_URL"]}

    ended = snippets.run_jenkins("token", tmp_path, UVX, repository, known, credential=token)

    assert ended.returncode == 0, ended.stdout
    assert "+ uvx --from git+https://git.example.com/platform/ecr-promoter@COMMIT ecr-promoter" in ended.stdout
    assert token not in ended.stdout
    assert "prod" in tokened.tags(repository)


def presigned(stack: TokenStack, api: str) -> str:
    """Return the path of `POST /promotions` with the administrator's signature in its query."""
    credentials = Credentials(stack.aws.access_key_id, stack.aws.secret_access_key)
    request = AWSRequest("POST", f"{stack.variables[api]}/promotions")
    SigV4QueryAuth(credentials, "execute-api", stack.aws.region).add_auth(request)
    return f"/promotions?{urlsplit(request.url or '').query}"
