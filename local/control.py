"""What a test or a demo does in AWS's place: the unsigned routes under `/_local/`, for this machine only.

GET /ready, POST /scans, /signatures, /images, /restores and /failures, GET, POST and DELETE /faults, GET and
DELETE /calls. Mistakes answer 400 with a `message` that names the member, what does not exist 404.
"""

from __future__ import annotations

import json
import os
from typing import Any

from msgspec import ValidationError

from local import emulator, failures, scanner, signer, stored
from local.calls import Calls
from local.ecr import archive
from local.ecr.errors import EcrError, InvalidParameter
from local.faults import Faults

Document = tuple[int, dict[str, Any]]


def refused(scope: dict[str, Any]) -> Document | None:
    """Return the refusal of a caller that is not on this machine, or that is a page in a browser."""
    address = (scope.get("client") or ("",))[0]
    if address not in {"127.0.0.1", "::1"} or any(name == b"origin" for name, _ in scope["headers"]):
        return 403, {"message": "only programs on this machine may call /_local/"}
    return None


def answer(scope: dict[str, Any], body: bytes, *, calls: Calls, faults: Faults) -> Document:
    """Serve one route; `calls` and `faults` are the emulator's."""
    call = f"{scope['method']} {scope['path'].removeprefix('/_local')}"
    simple = {
        "GET /ready": lambda: {"pid": os.getpid()},
        "GET /calls": calls.listed,
        "DELETE /calls": calls.clear,
        "GET /faults": faults.listed,
        "DELETE /faults": faults.clear,
    }
    taking = {
        "POST /faults": faults.add,
        "POST /failures": failures.fail,
        "POST /images": stored.put,
        "POST /restores": archive.finish_restore,
        "POST /scans": scanner.finish,
        "POST /signatures": signer.sign,
    }
    if call in simple:
        return 200, simple[call]()
    if call not in taking:
        return 404, {"message": f"there is no {call}; there are {', '.join([*simple, *taking])}"}
    try:
        document = json.loads(body)
        emulator.act_for(str(document.get("repositoryName", "")) if isinstance(document, dict) else "")
        return 200, taking[call](document)
    except (InvalidParameter, ValueError, ValidationError) as error:
        return 400, {"message": str(error)}
    except EcrError as error:
        return 404, {"code": error.code, "message": str(error)}
