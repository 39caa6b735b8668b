"""Adds to ministack's blob transfers what the OCI distribution specification 1.1 requires and ministack lacks.

Chunks must arrive in order, and a client can read a range of a blob.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from local import emulator
from local.ecr.registry import refusal

Handler = Callable[..., Awaitable[emulator.Answer]]
ParsePath = Callable[[str], tuple[str, str, str] | None]

# ministack's names for `/v2/<name>/blobs/uploads/<upload>` and `/v2/<name>/blobs/<digest>`.
UPLOAD, BLOB = "blob_upload_session", "blob"


async def serve(
    plain: Handler,
    parse: ParsePath,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, str],
) -> emulator.Answer:
    """Replace `plain`, ministack's own handler of the registry HTTP API."""
    kind, name, reference = parse(path) or ("", "", "")
    if kind == UPLOAD and method in {"PATCH", "PUT"} and (place := headers.get("content-range")):
        emulator.act_for(name)
        refused = _out_of_order(name, reference, place, len(body))
        if refused:
            return refused
    answer = await plain(method, path, headers, body, query)
    if (kind, method, answer[0]) == (BLOB, "GET", 200) and (asked := headers.get("range")):
        return _part(answer, asked)
    return answer


def _out_of_order(name: str, upload: str, place: str, size: int) -> emulator.Answer | None:
    """Return a 416 for a chunk with a wrong start or length; None for a chunk that continues the upload."""
    received = emulator.uploaded(name, upload)
    if received is None or place == f"{received}-{received + size - 1}":
        return None
    status, headers, body = refusal(
        416,
        "BLOB_UPLOAD_INVALID",
        f"the chunk {place} of {size} bytes does not follow the {received} bytes received",
    )
    where = {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Range": f"0-{max(received - 1, 0)}"}
    return status, headers | where, body


def _part(answer: emulator.Answer, asked: str) -> emulator.Answer:
    """Return the requested range of a blob (RFC 9110, section 14.2); the whole blob for other kinds of ranges."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    if not found or not any(found.groups()):
        return answer
    _, headers, blob = answer
    first, last = _bounds(found[1], found[2], len(blob))
    if not 0 <= first <= last:
        status, refused, body = refusal(416, "SIZE_INVALID", f"the blob has {len(blob)} bytes")
        return status, refused | {"Content-Range": f"bytes */{len(blob)}"}, body
    part = blob[first : last + 1]
    sizes = {"Content-Length": str(len(part)), "Content-Range": f"bytes {first}-{last}/{len(blob)}"}
    return 206, headers | sizes, part


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Return the first and last byte of a range. Without `first`, `last` is the number of bytes at the end."""
    if not first:
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
