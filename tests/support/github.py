"""A step of action.yml, run as a runner of GitHub runs it."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.support.runners import PROJECT, UV, run_script

EXPRESSION = re.compile(r"\$\{\{ *inputs\.([a-z-]+) *\}\}")

BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")


@cache
def action() -> Any:
    """Return action.yml."""
    return yaml.safe_load((PROJECT / "action.yml").read_text())


@dataclass(frozen=True)
class Ended:
    """How the step ended: its exit code, its log, its outputs and its part of the summary."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str


def run(
    folder: Path, uvx: str, *, uv: str = UV, environment: Mapping[str, str] | None = None, **inputs: str
) -> Ended:
    """Run the step that promotes; `uvx` is the script that stands in for what `uv` installs."""
    (step,) = [each for each in action()["runs"]["steps"] if each.get("id") == "promote"]
    given = {name: spec.get("default", "") for name, spec in action()["inputs"].items()}
    given |= {name.replace("_", "-"): text for name, text in inputs.items()}
    output, summary = folder / "output", folder / "summary"
    for file in (output, summary):
        file.write_text("")
    files = {
        "GITHUB_ACTION_PATH": str(PROJECT),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    variables = {name: EXPRESSION.sub(lambda found: given[found[1]], text) for name, text in step["env"].items()}
    done = run_script(BASH, step["run"], folder, uvx, files | dict(environment or {}) | variables, uv)
    return Ended(done.returncode, done.stdout, read_outputs(output.read_text()), summary.read_text())


def read_outputs(written: str) -> dict[str, str]:
    """Return the outputs as GitHub reads them: each is `name<<DELIMITER`, the lines, and the delimiter."""
    found: dict[str, str] = {}
    lines = iter(written.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        assert end, f"not an output: {line!r}"
        found[name] = "\n".join(iter(lambda end=end: next(lines), end))  # type: ignore[misc]
    return found


@contextmanager
def tokens_of_the_job(token: Callable[[str], str | None]) -> Iterator[dict[str, str]]:
    """Serve what GitHub serves to a job with `id-token: write`; yield the variables that lead the job there."""
    secret = secrets.token_hex(8)

    class Tokens(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (audience,) = parse_qs(urlsplit(self.path).query)["audience"]
            made = token(audience) if self.headers["authorization"] == f"bearer {secret}" else None
            self.send_response(200 if made else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"value": made}).encode())

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/token?api-version=2.0"
        yield {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
