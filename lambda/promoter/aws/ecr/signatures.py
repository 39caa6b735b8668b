"""Tells signatures from the other artifacts that refer to an image: SBOMs, provenance, attestations.

Known are the signatures of the Notary Project (notation, AWS Signer, ECR managed signing) and of cosign. What
cannot be told is not a signature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SIGNATURES = frozenset(
    {"application/vnd.cncf.notary.signature", "application/vnd.dev.cosign.artifact.sig.v1+json"}
)
"""Types that only signatures have: the manifest's artifactType or, without one, the type of its config."""

# A Sigstore bundle of any version may hold a signature or an attestation: only the predicate tells them apart
# (cosign's "Cosign Bundle Specification"; what `cosign sign` writes is CosignSignPredicateType).
BUNDLE = "application/vnd.dev.sigstore.bundle"
PREDICATE = "dev.sigstore.bundle.predicateType"
SIGN = "https://sigstore.dev/cosign/sign/v1"

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
"""The layers of a cosign signature, whatever its config is."""
UNDECIDED = frozenset({"", "application/vnd.oci.empty.v1+json", "application/vnd.oci.image.config.v1+json"})
"""Types that say nothing: a registry may give the config's, or none, where there is no artifactType."""


def listed(referrer: Mapping[str, Any]) -> bool | None:
    """Say whether an entry of ListImageReferrers is a signature; None: only its manifest can tell."""
    kind = referrer.get("artifactType") or ""
    if kind.startswith(BUNDLE):
        predicate = (referrer.get("annotations") or {}).get(PREDICATE)
        return None if predicate is None else bool(predicate == SIGN)
    return None if kind in UNDECIDED else kind in SIGNATURES


def stored(body: bytes, image_digest: str) -> bool:
    """Say whether a manifest is a signature of the image (OCI image manifest, "subject" and "artifactType")."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    match document:
        case {"subject": {"digest": str(subject)}, "layers": [*layers]} if subject == image_digest:
            kind = _text(document, "artifactType") or _text(document.get("config"), "mediaType")
            contents = {_text(layer, "mediaType") for layer in layers}
        case _:
            return False
    if any(each.startswith(BUNDLE) for each in (kind, *contents)):
        return _text(document.get("annotations"), PREDICATE) == SIGN
    return kind in SIGNATURES or (kind in UNDECIDED and contents == {SIMPLE_SIGNING})


def _text(members: Any, name: str) -> str:
    value = members.get(name) if isinstance(members, dict) else None
    return value if isinstance(value, str) else ""
