"""Blob transfers of the registry HTTP API, as the OCI distribution specification 1.1 requires them."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from local.aws import LocalAws
from local.oci import sha256

BLOB = bytes(range(256)) * 12
DIGEST = sha256(BLOB)

Send = Callable[..., "Answer"]


@dataclass(frozen=True)
class Answer:
    """The registry's answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def send(local_aws: LocalAws) -> Iterator[Send]:
    """Send a request to the registry: `send(method, path, body, **headers)`."""
    connection = http.client.HTTPConnection(local_aws.registry, timeout=30)

    def call(method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return Answer(
            response.status, {name.lower(): text for name, text in response.headers.items()}, response.read()
        )

    yield call
    connection.close()


@pytest.fixture
def location(send: Send, repository: str) -> str:
    """Start an upload; return its address."""
    return send("POST", f"/v2/{repository}/blobs/uploads/", b"").headers["location"]


def pushed(send: Send, repository: str) -> str:
    """Push the blob in one request; return its address."""
    answer = send("POST", f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", BLOB)
    assert answer.status == 201
    return answer.headers["location"]


@pytest.mark.parametrize("last", ["PATCH", "PUT"])
def test_chunks_in_order_make_a_blob(send: Send, location: str, last: str) -> None:
    """Each chunk starts where the last one ended. The last chunk may be the body of the closing PUT."""
    first = send("PATCH", location, BLOB[:1000], Content_Range="0-999")
    assert (first.status, first.headers["range"]) == (202, "0-999")
    rest = {"Content_Range": f"1000-{len(BLOB) - 1}"}
    if last == "PATCH":
        assert send("PATCH", location, BLOB[1000:], **rest).status == 202
        closed = send("PUT", f"{location}?digest={DIGEST}", b"")
    else:
        closed = send("PUT", f"{location}?digest={DIGEST}", BLOB[1000:], **rest)
    assert closed.status == 201
    assert send("GET", closed.headers["location"]).body == BLOB


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("wrong", ["2000-2999", "0-999", "999-1998", "1000-1998", "1999-1000", "bytes", "-999"])
def test_a_chunk_out_of_order_is_refused(send: Send, location: str, method: str, wrong: str) -> None:
    """416, and the chunk is dropped. A GET answers where to continue."""
    send("PATCH", location, BLOB[:1000], Content_Range="0-999")
    refused = send(method, f"{location}?digest={DIGEST}", BLOB[1000:2000], Content_Range=wrong)
    assert refused.status == 416
    assert json.loads(refused.body)["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"
    assert refused.headers["location"] == location
    where = send("GET", location)
    assert (where.status, where.headers["range"]) == (204, "0-999")
    assert send("PUT", f"{location}?digest={DIGEST}", BLOB[1000:]).status == 201


def test_the_first_chunk_starts_at_zero(send: Send, location: str) -> None:
    """A new upload does not accept a later chunk."""
    assert send("PATCH", location, BLOB[1000:2000], Content_Range="1000-1999").status == 416
    assert send("PATCH", location, BLOB[:1000], Content_Range="0-999").status == 202


def test_a_stream_needs_no_range(send: Send, location: str) -> None:
    """A chunk without Content-Range is appended."""
    assert send("PATCH", location, BLOB[:1000]).status == 202
    assert send("PATCH", location, BLOB[1000:]).status == 202
    assert send("PUT", f"{location}?digest={DIGEST}", b"").status == 201


def test_an_unknown_upload_is_not_found(send: Send, repository: str) -> None:
    """404, with and without a range."""
    for headers in ({}, {"Content_Range": "0-999"}):
        assert send("PATCH", f"/v2/{repository}/blobs/uploads/none", BLOB[:1000], **headers).status == 404


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("500-1499", 500, 1499),
        ("500-", 500, 3071),
        ("-500", 2572, 3071),
        ("3000-9000", 3000, 3071),
        ("-9000", 0, 3071),
    ],
)
def test_a_range_of_a_blob_is_served(send: Send, repository: str, asked: str, first: int, last: int) -> None:
    """As RFC 9110, section 14, defines one range of bytes."""
    answer = send("GET", pushed(send, repository), Range=f"bytes={asked}")
    assert (answer.status, answer.body) == (206, BLOB[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BLOB)}"


@pytest.mark.parametrize("asked", ["500-0", "3072-", "9000-9999", "-0"])
def test_a_range_outside_the_blob_is_refused(send: Send, repository: str, asked: str) -> None:
    """416, with the length of the blob."""
    answer = send("GET", pushed(send, repository), Range=f"bytes={asked}")
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{len(BLOB)}")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b"])
def test_other_kinds_of_ranges_are_answered_with_the_whole_blob(send: Send, repository: str, asked: str) -> None:
    """RFC 9110 allows a server to ignore them."""
    answer = send("GET", pushed(send, repository), Range=asked)
    assert (answer.status, answer.body) == (200, BLOB)


def test_sha512_is_refused(send: Send, repository: str) -> None:
    """Amazon ECR supports sha256 only."""
    digest = f"sha512:{hashlib.sha512(BLOB).hexdigest()}"
    answer = send("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", BLOB)
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (400, "DIGEST_INVALID")
