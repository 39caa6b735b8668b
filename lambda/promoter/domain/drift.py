"""A tag that is not where the ledger has it: the same members in events, answers and logs."""

from __future__ import annotations

from typing import Any

from promoter.domain.records import GONE, Head


def document(head: Head) -> dict[str, Any]:
    """Return where the ledger has the tag and where it was found: `registryDigest` None, it is gone."""
    return {
        "registryId": head.repository.registry_id,
        "repositoryName": head.repository.name,
        "imageTag": head.image_tag,
        "recordedDigest": head.image_digest,
        "registryDigest": None if head.drift == GONE else head.drift,
        "promotionId": head.promotion_id,
    }
