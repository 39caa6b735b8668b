"""How people name images: `team/web`, `build-42`, `sha256:…`, `build-42@sha256:…`, `team/web:build-42`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ecr_promoter.exits import UsageMistake

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HOST = re.compile(r"(\d{12})\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\.[a-z0-9.-]+/")


@dataclass(frozen=True)
class Place:
    """A repository; `registry_id` is None for the caller's, or the service's, own account."""

    registry_id: str | None
    name: str

    def members(self) -> dict[str, str]:
        """Return it in the API's names, and ECR's."""
        own = {} if self.registry_id is None else {"registryId": self.registry_id}
        return {"repositoryName": self.name, **own}


def place(text: str, registry_id: str | None = None) -> Place:
    """Read a repository: its name, or `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME` as docker has it."""
    host = HOST.match(text)
    name = text[host.end() :] if host else text
    if host and registry_id not in (None, host[1]):
        raise UsageMistake(f"{text} is in the registry {host[1]}, but --registry-id is {registry_id}.")
    if not name or ":" in name or "@" in name:
        raise UsageMistake(f"{text} is not the name of a repository, such as team/web.")
    return Place(host[1] if host else registry_id, name)


def image_id(text: str) -> dict[str, str]:
    """Read a tag, a digest, or `TAG@DIGEST`: in the API's names, and ECR's."""
    if DIGEST.fullmatch(text):
        return {"imageDigest": text}
    tag, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise UsageMistake(f"{text}: after the @ must stand a whole digest, sha256: and 64 digits.")
    if text.startswith("sha256:"):
        raise UsageMistake(f"{text} is not a whole digest: sha256: and 64 digits. `--output json` shows it whole.")
    return {"imageTag": tag, **({"imageDigest": digest} if at else {})}


def image(text: str) -> tuple[str, dict[str, str]]:
    """Read `REPOSITORY:TAG` or `REPOSITORY@DIGEST`: the repository and the image in it."""
    repository, at, digest = text.partition("@")
    name, colon, tag = repository.rpartition(":")
    if at and not colon:
        return repository, image_id(digest)
    if not colon:
        raise UsageMistake(f"{text} names no image. Write REPOSITORY:TAG or REPOSITORY@DIGEST.")
    return name, image_id(f"{tag}@{digest}" if at else tag)


def expectations(texts: tuple[str, ...]) -> dict[str, Any]:
    """Read `TAG=DIGEST` and `TAG=none`: where each tag must be before anything is put."""
    expected: dict[str, Any] = {}
    for text in texts:
        tag, _, value = text.partition("=")
        if value != "none" and not DIGEST.fullmatch(value):
            raise UsageMistake(f"--expect {text}: write TAG=sha256:… with the whole digest, or TAG=none.")
        expected[tag] = None if value == "none" else value
    return expected
