"""Tag templates of the policy: `staging-{build}` and what may stand between the braces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from promoter.domain.limits import LONGEST_TAG

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
BUILT_IN = frozenset({"repository", "tag", "digest", "date"})
"""Known to every rule: repository name, source tag, 12 hex digits of the digest, date (UTC, YYYYMMDD)."""

# OCI distribution spec, "Pulling manifests". ECR takes longer tags, but no client could pull those.
TAG = re.compile(rf"[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,{LONGEST_TAG - 1}}}")

REFERRERS = "sha256-"
"""How tags begin under which clients look for signatures and attestations of an image.

OCI distribution spec, "Referrers Tag Schema": `sha256-` and the image's digest; cosign adds `.sig` or `.att`.
"""


def is_tag(text: str) -> bool:
    """Say whether every registry client can use this text as a tag."""
    return TAG.fullmatch(text) is not None


def is_promotable(text: str) -> bool:
    """Say whether a promotion may put this text as a tag: a tag of an image, not of its signatures."""
    return is_tag(text) and not text.startswith(REFERRERS)


def names_in(template: str) -> Iterator[str]:
    """Yield the names that a template needs, in the order they stand there."""
    return (match[1] for match in PLACEHOLDER.finditer(template))


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill the template; a name without a value becomes empty (an optional group that took no part)."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], ""), template)
