"""Values that often break programs, for every place of a request."""

from __future__ import annotations

TEXTS = (
    "", " ", "\x00", "a\nb", "\r\n\r\n", "💥", "\ud800", "\uff46ull", "\u0301", "\ufeffx", "NaN", "null",
    "true", "-1", "1e999", "2026-13-45", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "2026-01-01",
    "{tag}", "{0.__class__}", "%s%n", "../../etc/passwd", "$ref", "' OR 1=1 --", "*", "**", "a/*/b", "promotion#x",
    "sha256:" + "0" * 64, "sha256:" + "g" * 64, "sha512:" + "0" * 128, "sha256-" + "0" * 64,
    "A" * 129, "a" * 300, "x" * 5_000, "[" * 3_000, '{"a":' * 2_000,
)  # fmt: skip
NUMBERS = (0, -1, 1, 101, 2**31, 2**63, 2**64, -(2**70), 1e308, 0.1, -0.0)
ENCODED = (
    "%00", "%0A", "%0D%0A", "%F0%9F%92%A5", "%FF", "%C3%28", "%ED%A0%80", "%", "%z", "%2F", "%252F", "%2E%2E",
    "..", ".", "%7B%7D", "+", "%20", "a%2Fb", "%5B" * 500, "~", "%25", "%3F", "%23", "a" * 3000, ";", "%3B", "=",
    "&", "@",
)  # fmt: skip
TYPES = (
    "application/json", "text/plain", "application/octet-stream", "application/json; charset=utf-16",
    "multipart/form-data", "application/x-www-form-urlencoded", "", "x", "application/problem+json",
)  # fmt: skip
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
)
PARAMETERS = {
    "/promotions": (
        "repositoryName", "registryId", "imageTag", "imageDigest", "outcome", "caller", "since", "until", "limit",
        "nextToken",
    ),
    "/heads": ("repositoryName", "registryId", "imageTag", "limit", "nextToken"),
    "/freeze": ("repositories", "rule"),
}  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
