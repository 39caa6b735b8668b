"""The routes under `/_local/`, with which a test or the demo does what AWS does by itself.

GET /ready, POST /scans, /signatures, /images, /restores and /failures, GET, POST and DELETE /faults, GET and
DELETE /calls. Requests need no signature and are accepted from this machine only. The answer to a mistake is a 400
with a `message` that names the member, or a 404 if the repository or image does not exist.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import ValidationError

from local import emulator
from local.control import failures, images, restores, scans, signatures
from local.control.calls import Calls
from local.control.faults import Faults
from local.ecr.errors import EcrError, InvalidParameter

Document = tuple[int, dict[str, Any]]


def refuse(scope: dict[str, Any]) -> Document | None:
    """Return a 403 for a caller on another machine and for a page in a browser; None for all others."""
    address = (scope.get("client") or ("",))[0]
    if address not in {"127.0.0.1", "::1"} or any(name == b"origin" for name, _ in scope["headers"]):
        return 403, {"message": "only programs on this machine may call /_local/, and no browser"}
    return None


WITH_BODY: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "POST /failures": failures.fail,
    "POST /images": images.put,
    "POST /restores": restores.finish,
    "POST /scans": scans.finish,
    "POST /signatures": signatures.sign,
}


def answer(scope: dict[str, Any], body: bytes, *, calls: Calls, faults: Faults) -> Document:
    """Serve one request; `calls` and `faults` are the emulator's."""
    call = f"{scope['method']} {scope['path'].removeprefix('/_local')}"
    without_body = {
        "GET /ready": lambda: {"pid": os.getpid()},
        "GET /calls": calls.listed,
        "DELETE /calls": calls.clear,
        "GET /faults": faults.listed,
        "DELETE /faults": faults.clear,
    }
    with_body = {"POST /faults": faults.add, **WITH_BODY}
    if call in without_body:
        return 200, without_body[call]()
    if call not in with_body:
        return 404, {
            "message": f"there is no route {call}; the routes are {', '.join([*without_body, *with_body])}"
        }
    try:
        document = json.loads(body)
        emulator.act_for(str(document.get("repositoryName", "")) if isinstance(document, dict) else "")
        return 200, with_body[call](document)
    except (InvalidParameter, ValueError, ValidationError) as error:
        return 400, {"message": str(error)}
    except EcrError as error:
        return 404, {"code": error.code, "message": str(error)}
