"""An issuer of tokens on this machine: a discovery document and keys over TLS, and tokens good and bad.

The command openssl makes its certificate and its keys, and signs with them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Key:
    """A key pair in a file. `kid` is the name under which an issuer publishes it."""

    file: Path
    kid: str
    algorithm: str = "RS256"

    @classmethod
    def make(cls, folder: Path, kid: str, algorithm: str = "RS256", *, name: str | None = None) -> Key:
        """Make a new pair, of RSA or, for ES256, on the curve P-256."""
        kind = ["RSA", "rsa_keygen_bits:2048"] if algorithm != "ES256" else ["EC", "ec_paramgen_curve:P-256"]
        file = folder / f"{name or kid}.pem"
        openssl("genpkey", "-algorithm", kind[0], "-pkeyopt", kind[1], "-out", str(file))
        return cls(file, kid, algorithm)

    @cached_property
    def public(self) -> bytes:
        """The public key in PEM: what an attacker can sign with if a verifier takes it for a secret of HMAC."""
        return openssl("pkey", "-in", str(self.file), "-pubout")

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The public key as a JWK (RFC 7517)."""
        common = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "ES256":
            point = openssl("pkey", "-in", str(self.file), "-pubout", "-outform", "DER")[-64:]
            return common | {"kty": "EC", "crv": "P-256", "x": encoded(point[:32]), "y": encoded(point[32:])}
        printed = openssl("rsa", "-in", str(self.file), "-noout", "-modulus").decode()
        modulus = bytes.fromhex(printed.strip().removeprefix("Modulus="))
        return common | {"kty": "RSA", "n": encoded(modulus), "e": "AQAB"}

    def sign(self, text: bytes) -> bytes:
        """Sign as JWS does (RFC 7518, sections 3.3 and 3.4)."""
        digest = f"-sha{self.algorithm[2:]}"
        signature = openssl("dgst", digest, "-sign", str(self.file), given=text)
        return raw_of(signature) if self.algorithm == "ES256" else signature


@dataclass(frozen=True)
class Issuer:
    """An issuer that runs, with the keys that it publishes. `certificate` is the file to trust it by."""

    url: str
    certificate: Path
    keys: tuple[Key, ...]

    def claims(self, subject: str, audience: Any, **others: Any) -> dict[str, Any]:
        """Return the claims of a good token; those that are None are left out."""
        now = int(time.time())
        made = {"iss": self.url, "sub": subject, "aud": audience, "iat": now, "nbf": now, "exp": now + 300}
        return {name: value for name, value in (made | others).items() if value is not None}

    def token(self, subject: str, audience: Any, *, key: Key | None = None, **others: Any) -> str:
        """Return a token that a key of the issuer has signed, or another key."""
        return signed(self.claims(subject, audience, **others), key or self.keys[0])


@contextmanager
def running(folder: Path, *keys: Key) -> Iterator[Issuer]:
    """Run an issuer that publishes these keys, on a free port."""
    certificate, secret = folder / "certificate.pem", folder / "certificate-key.pem"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={LOOPBACK}"),
        *("-addext", f"subjectAltName=IP:{LOOPBACK}", "-keyout", str(secret), "-out", str(certificate)),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    server = ThreadingHTTPServer((LOOPBACK, 0), Published)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://{LOOPBACK}:{server.server_port}"
    Published.documents[server.server_port] = {
        "/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/keys"},
        "/keys": {"keys": [key.jwk for key in keys]},
    }
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Issuer(url, certificate, keys)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Published(BaseHTTPRequestHandler):
    """Serves what the issuer of each port publishes."""

    documents: dict[int, dict[str, Any]] = {}  # noqa: RUF012 - http.server makes a new handler for each request

    def do_GET(self) -> None:
        """Answer a document, or 404."""
        document = self.documents[self.server.server_address[1]].get(self.path)  # type: ignore[index]
        body = json.dumps(document).encode()
        self.send_response(404 if document is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def signed(claims: Mapping[str, Any], key: Key, **header: Any) -> str:
    """Return a token with these claims; the header is the key's, changed by the members given."""
    text = unsigned({"typ": "JWT", "alg": key.algorithm, "kid": key.kid} | header, claims)
    return f"{text}.{encoded(key.sign(text.encode()))}"


def signed_with_secret(claims: Mapping[str, Any], secret: bytes, *, kid: str) -> str:
    """Return a token of HS256."""
    text = unsigned({"typ": "JWT", "alg": "HS256", "kid": kid}, claims)
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def without_signature(claims: Mapping[str, Any], *, kid: str, algorithm: str = "none") -> str:
    """Return a token of the algorithm `none` (RFC 7519, section 6)."""
    return f"{unsigned({'typ': 'JWT', 'alg': algorithm, 'kid': kid}, claims)}."


def with_claims(token: str, **claims: Any) -> str:
    """Return a token whose payload was changed after it was signed."""
    header, payload, signature = token.split(".")
    known = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{header}.{encoded(json.dumps(known | claims).encode())}.{signature}"


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return what a signature is made of."""
    return ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))


def encoded(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_of(signature: bytes) -> bytes:
    """Return the two numbers of an ECDSA signature in DER as JWS writes them: 32 bytes each."""
    numbers, rest = [], signature[2:]
    while rest:
        length = rest[1]
        numbers.append(int.from_bytes(rest[2 : 2 + length], "big").to_bytes(32, "big"))
        rest = rest[2 + length :]
    return b"".join(numbers)


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """Run the command openssl."""
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout
