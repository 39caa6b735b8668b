"""Hostile requests: valid requests with something wrong in them, and random bytes. A seed repeats them."""

from __future__ import annotations

import base64
import json
import random
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.torture.client import Request
from tests.torture.values import (
    ENCODED,
    MANIFEST_TYPES,
    METHODS,
    NUMBERS,
    PARAMETERS,
    TEXTS,
    TYPES,
)

Json = Any


@dataclass(frozen=True)
class Known:
    """What exists on the stack: route keys ("GET /heads"), a repository, digests in it, ids of its promotions."""

    routes: Sequence[str]
    repository: str
    digests: Sequence[str]
    promotions: Sequence[str]


@dataclass(frozen=True)
class HostileRequests:
    """Makes hostile requests. Every choice comes from `random`."""

    random: random.Random
    known: Known

    def request(self) -> Request:
        """Return the next request."""
        method, _, path = self.random.choice(self.known.routes).partition(" ")
        if self._one_in(50):
            method = self.random.choice(METHODS)
        target = re.sub(r"\{[^}]*\}", lambda _: self._segment(), path) + self._query(path)
        body = self._body(path) if method in {"POST", "PUT", "PATCH"} or self._one_in(20) else None
        return Request(method, target, body, self._headers())

    def _one_in(self, number: int) -> bool:
        return self.random.randrange(number) == 0

    def _segment(self) -> str:
        known = self.random.choice(self.known.promotions)
        ways: list[Callable[[], str]] = [
            lambda: known,
            lambda: known,
            lambda: str(uuid.UUID(int=self.random.getrandbits(128))),
            lambda: self.random.choice(ENCODED),
            lambda: encoded(self._text()) or "-",
            lambda: known + self.random.choice(ENCODED),
        ]
        return self.random.choice(ways)()

    def _query(self, path: str) -> str:
        names = [name for name in PARAMETERS.get(path, ()) if name == "repositoryName" or self._one_in(4)]
        if self._one_in(10):
            names.append(self.random.choice([*ENCODED, "", "repositoryName", "unknown"]))
        pairs = [f"{name}={self._parameter(name)}" for name in names if not self._one_in(15)]
        if self._one_in(30):
            pairs.append(self.random.choice(ENCODED))
        return "?" + "&".join(pairs) if pairs else ""

    def _parameter(self, name: str) -> str:
        """Return a percent-encoded value, mostly one that is valid for the parameter."""
        if self._one_in(12):
            return self.random.choice(ENCODED)
        key = {each: {"S": self._text()} for each in ("pk", "sk", "listing", "listedAt")}
        token = json.dumps(key if self._one_in(2) else self._text()).encode()
        valid: dict[str, Sequence[str]] = {
            "repositoryName": [self.known.repository],
            "registryId": ["123456789012", "000000000000"],
            "imageTag": ["prod", "v1", "none"],
            "imageDigest": self.known.digests,
            "outcome": ["PROMOTED", "UNCHANGED", "REFUSED", "FAILED"],
            "caller": ["arn:aws:iam::123456789012:root", "*"],
            "since": ["2026-01-01T00:00:00Z", "2026-01-01"],
            "until": ["2099-01-01T00:00:00Z", "2099-01-01"],
            "limit": ["1", "5", "100"],
            "nextToken": [base64.urlsafe_b64encode(token).decode()],
            "repositories": [f"{self.known.repository}-*"],
            "rule": ["frozen", "gated"],
        }
        often_hostile = 6 if name == "repositoryName" else 3
        hostile = self._one_in(often_hostile) or name not in valid
        return encoded(self._text() if hostile else self.random.choice(valid[name]))

    def _headers(self) -> dict[str, str]:
        headers = {} if self._one_in(3) else {"content-type": self.random.choice(TYPES)}
        if self._one_in(4):
            value = self.random.choice(["key", "k" * 255, "k" * 300, "a b", "é", "", "\x7f", *"0123456789"])
            headers["Idempotency-Key"] = value
        if self._one_in(20):
            headers[self.random.choice(["accept", "x-http-method-override", "range", "x-forwarded-for"])] = (
                "DELETE, */*"
            )
        return headers

    def _body(self, path: str) -> bytes:
        if self._one_in(20):
            return self.random.randbytes(self.random.randrange(200))
        shapes = {"/freeze": self._freeze, "/promotions": self._promotion}
        document: Json = shapes.get(path, self._rollback)()
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            document = self._mutated(document)
        text = json.dumps(self._limited(document), ensure_ascii=self._one_in(2)).encode("utf-8", "surrogatepass")
        return self._corrupted(text) if self._one_in(8) else text

    def _limited(self, document: Json) -> Json:
        """Limit a freeze to our own repositories: others use the same stack."""
        if isinstance(document, dict) and "reason" in document:
            return document | {"repositories": f"{self.known.repository}-*"}
        return document

    def _promotion(self) -> dict[str, Json]:
        choose, digests = self.random.choice, [*self.known.digests, "sha256:" + "0" * 64]
        document: dict[str, Json] = {"repositoryName": self.known.repository}
        if self._one_in(3):
            document |= {"imageManifest": self._manifest()}
            if self._one_in(2):
                document |= {"imageManifestMediaType": choose(MANIFEST_TYPES)}
        else:
            sources = [{"imageTag": "candidate"}, {"imageDigest": choose(digests)}]
            document |= {"source": choose([*sources, sources[0] | sources[1]])}
        tags = ["prod", "v1", "v2", "gated", "frozen", "signed", "soaked", "tolerated", "staging"]
        document |= choose([{"imageTag": choose(tags)}, {"imageTags": self.random.sample(tags, 2)}, {}])
        more: dict[str, Json] = {
            "expectedDigests": {choose(["prod", "v1"]): choose([None, *digests])},
            "dryRun": choose([True, False]),
            "registryId": choose(["123456789012", "000000000000"]),
            "target": {"repositoryName": choose([self.known.repository, "other/place"])},
            "override": {"reason": self._text()},
            "imageDigest": choose(digests),
        }
        return document | {name: value for name, value in more.items() if self._one_in(5)}

    def _rollback(self) -> dict[str, Json]:
        more: dict[str, Json] = {
            "imageTags": [self.random.choice(["prod", "v1"])],
            "repositoryName": self.known.repository,
            "imageTag": "prod",
            "expectedDigest": self.random.choice(self.known.digests),
            "override": {"reason": self._text()},
            "comment": self._text(),
        }
        return {name: value for name, value in more.items() if self._one_in(2)}

    def _freeze(self) -> dict[str, Json]:
        # Few are valid, because it takes five seconds to set a freeze.
        if self._one_in(100):
            return {"reason": "torture", "rule": "frozen"}
        return {"reason": self._text(), "until": self._text(), "rule": self.random.choice(["frozen", "none"])}

    def _manifest(self) -> str:
        descriptor = {"mediaType": MANIFEST_TYPES[0], "digest": self.random.choice(self.known.digests), "size": 2}
        document: Json = {
            "schemaVersion": self.random.choice([2, 1, "2", None]),
            "mediaType": self.random.choice(MANIFEST_TYPES),
            "config": descriptor,
            "layers": [descriptor],
            "manifests": [descriptor | {"platform": {"os": "linux", "architecture": self._text()}}],
            "annotations": {"key": self._text()},
        }
        for name in self.random.sample(sorted(document), self.random.randrange(4)):
            del document[name]
        if self._one_in(5):
            document |= {
                self.random.choice(["Layers", "subject", "artifactType", "signatures", "fsLayers"]): [descriptor]
            }
        text = json.dumps(self._mutated(document))
        return text.replace('"config"', '"layers"', 1) if self._one_in(10) else text

    def _text(self) -> str:
        return self.random.choice(TEXTS)

    def _value(self) -> Json:
        values: list[Json] = [None, True, False, [], {}, [[]], {"": None}, *NUMBERS, *TEXTS]
        return self.random.choice(values)

    def _mutated(self, document: Json) -> Json:
        """Return the document with one member or element changed, removed or added."""
        if isinstance(document, dict) and document and not self._one_in(8):
            name = self.random.choice(list(document))
            if self._one_in(4):
                return {key: value for key, value in document.items() if key != name}
            if self._one_in(6):
                return document | {self._text(): self._value()}
            return document | {name: self._mutated(document[name])}
        if isinstance(document, list) and document and not self._one_in(4):
            return [*document, *([self._mutated(document[0])] * self.random.choice([1, 1, 60]))]
        return self._value()

    def _corrupted(self, text: bytes) -> bytes:
        where = self.random.randrange(len(text) + 1)
        ways = [
            text[:where],
            text[:where] + self.random.randbytes(2) + text[where:],
            b"[" * 20_000 + text,
            text + text,
            text.replace(b"{", b'{"repositoryName": "a/b", ', 1),
            b"\xef\xbb\xbf" + text,
            text.decode("utf-8", "replace").encode("utf-16"),
        ]
        return self.random.choice(ways)


def encoded(text: str) -> str:
    """Return a percent-encoded text for a path or a query; lone surrogates are kept."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
