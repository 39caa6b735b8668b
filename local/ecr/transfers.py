"""What ministack's blob transfers lack of the OCI distribution specification 1.1.

Chunks must arrive in order, and a part of a blob can be asked for.
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
    """Stand in for `plain`, ministack's own handler of the registry HTTP API."""
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
    """Return the refusal of a chunk that does not begin where the upload ends, or is not as long as it says."""
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
    """Return one range of bytes of a blob (RFC 9110, section 14.2); any other range is ignored, as it may be."""
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
    """Return the first and last byte; without a first one, `last` counts from the end."""
    if not first:
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
