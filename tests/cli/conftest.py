"""The command line as a user runs it, against an HTTP server that answers what a test says."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ecr_promoter import clock
from ecr_promoter.__main__ import main

REGION, KEY, SECRET = "eu-central-1", "AKIDEXAMPLE", "the-secret-key"
DIGEST, OTHER = f"sha256:{'a1' * 32}", f"sha256:{'b2' * 32}"
ID = "6c1f0a52-6f0e-4b5c-9d5e-3f8f6f0c2d11"
LOST = 0
"""In place of a status: the server reads the request and closes the connection."""


@dataclass(frozen=True)
class Asked:
    """A request that the server got; the names of the headers are in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def is_signed(self) -> bool:
        """Whether the signature is the one that botocore makes of what arrived."""
        given = self.headers.get("authorization", "")
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        if "host" not in names:
            return False
        headers = {name: self.headers[name] for name in names}
        request = AWSRequest(self.method, self.url, headers=headers, data=self.body or None)
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(KEY, SECRET), "execute-api", REGION)
        canonical = signer.canonical_request(request)
        signature = signer.signature(signer.string_to_sign(request, canonical), request)
        return given.endswith(f"Signature={signature}")


@dataclass
class FakeApi:
    """Answers each route with the next of its answers; the last one is given again and again."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, list[tuple[int, Any, dict[str, str]]]] = field(default_factory=dict)

    def answer(self, route: str, document: Any = None, status: int = 200, **headers: str) -> FakeApi:
        """Add an answer for a route such as `POST /promotions`; `retry_after` is the header Retry-After."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(route, []).append((status, document, named))
        return self

    def next_for(self, route: str) -> tuple[int, Any, dict[str, str]]:
        """Return the answer for a route, and forget it unless it is the last one."""
        known = self.answers.get(route, [(404, {"message": "Not Found"}, {})])
        return known.pop(0) if len(known) > 1 else known[0]

    def routes(self) -> list[str]:
        """Return the routes that were called, in order."""
        return [f"{each.method} {each.path}" for each in self.asked]


class Handler(BaseHTTPRequestHandler):
    """Serves one FakeApi, the class variable."""

    protocol_version = "HTTP/1.1"
    api: FakeApi

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, f"{self.api.url}{self.path}", headers, body)
        self.api.asked.append(asked)
        status, document, more = self.api.next_for(f"{self.command} {asked.path}")
        self.close_connection = True
        if status == LOST:
            return
        content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(content)), "connection": "close", **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815 - the names of http.server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of http.server
        """Print nothing."""


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A server on this machine that knows no route yet."""
    fake = FakeApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Serving", (Handler,), {"api": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment with credentials, and without a trace of the user's own AWS or CI system."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "ECR_PROMOTER_", "ACTIONS_", "GITHUB_", "CI")) or name.lower().endswith(
            "_proxy"
        ):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@dataclass
class Passing:
    """A clock that goes on only while the program sleeps; `slept` are the pauses."""

    time: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture(autouse=True)
def passing(monkeypatch: pytest.MonkeyPatch) -> Passing:
    """No test waits."""
    fake = Passing()
    monkeypatch.setattr(clock, "now", fake.now)
    monkeypatch.setattr(clock, "sleep", fake.sleep)
    return fake


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of what a table shows, line by line; cells are at least two spaces apart."""
        return [[cell for cell in line.split("  ") if cell.strip()] for line in self.stdout.splitlines()]


Run = Callable[..., Ended]


@pytest.fixture
def run(api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program with a command line; it finds the fake API by the environment."""
    monkeypatch.setenv("ECR_PROMOTER_API_URL", api.url)

    def run(*line: str) -> Ended:
        capsys.readouterr()
        exit_code = main(line)
        printed = capsys.readouterr()
        return Ended(exit_code, printed.out, printed.err)

    return run


def promoted(outcome: str = "PROMOTED", **members: Any) -> dict[str, Any]:
    """Return the answer to a promotion of prod."""
    image = {
        "registryId": "123456789012",
        "repositoryName": "team/web",
        "imageId": {"imageDigest": DIGEST, "imageTag": "prod"},
        "imageManifest": '{"schemaVersion": 2}',
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
        "outcome": outcome,
        "previousDigest": OTHER,
    }
    return {"promotionId": ID, "outcome": outcome, "rule": "prod-by-pipeline", "images": [image]} | members


def problem(code: str, status: int, detail: str = "Something is in the way.", **members: Any) -> dict[str, Any]:
    """Return a problem document."""
    named = {
        "type": f"urn:ecr-promoter:{code}",
        "title": "A title",
        "status": status,
        "detail": detail,
        "code": code,
    }
    return named | {"promotionId": ID} | members


def record(outcome: str | None = "PROMOTED", **members: Any) -> dict[str, Any]:
    """Return what `GET /promotions/{promotionId}` answers."""
    known = {
        "promotionId": ID,
        "outcome": outcome,
        "trigger": "request",
        "rule": "prod-by-pipeline",
        "caller": "arn:aws:sts::123456789012:assumed-role/deployer/run-7",
        "registryId": "123456789012",
        "repositoryName": "team/web",
        "source": {"imageTag": "build-42"},
        "imageDigest": DIGEST,
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
        "imageTags": ["prod"],
        "images": [{"imageTag": "prod", "outcome": "PROMOTED", "previousDigest": OTHER}],
        "askedAt": "2026-11-24T10:00:00+00:00",
        "endedAt": "2026-11-24T10:00:01+00:00",
    }
    return {name: value for name, value in (known | members).items() if value is not None}


def waiting(*reasons: str, **members: Any) -> dict[str, Any]:
    """Return the answer to a promotion that waits."""
    until = {"waitingFor": list(reasons), "waitsUntil": "2026-11-25T10:00:00+00:00"}
    return {"promotionId": ID, "outcome": "WAITING", "rule": "prod-by-pipeline", "images": []} | until | members
