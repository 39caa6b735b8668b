"""Images that clients read in another way than the scanner that judged them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from promoter.domain.errors import GateRefused
from promoter.domain.findings import Scan
from promoter.domain.gate import Gate
from promoter.domain.manifest import OCI_MANIFEST
from promoter.domain.model import Manifest
from promoter.promotion.evidence import gather
from tests.support.registries import InMemoryRegistry, KnownImageFacts, manifest
from tests.unit.promotion.test_evidence import REPOSITORY, entry

CLEAN, EVIL = ("sha256:" + letter * 64 for letter in "ce")


def layer(digest: str) -> dict[str, Any]:
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 7}


def image(*members: tuple[str, Any]) -> Manifest:
    """Return an image with one clean layer, and more members after it."""
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": CLEAN, "size": 7}
    first = [("schemaVersion", 2), ("mediaType", OCI_MANIFEST), ("config", config), ("layers", [layer(CLEAN)])]
    text = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in [*first, *members])
    return manifest(f"{{{text}}}")


def judged(source: Manifest, *others: Manifest) -> None:
    """Gather what a gate judges, where every image has a clean scan."""
    image_facts = KnownImageFacts(scans={each.digest: Scan("COMPLETE") for each in (source, *others)})
    registry = InMemoryRegistry(untagged=[source, *others])
    gather(Gate({"HIGH": 0}), REPOSITORY, source, registry=registry, image_facts=image_facts)


TRICKS = [
    ("Layers", [layer(EVIL)]),
    ("layers", [layer(EVIL)]),
    ("layer\u017f", [layer(EVIL)]),
    ("manifests", [entry(manifest("{}"))]),
    ("Manifests", [entry(manifest("{}"))]),
]


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: ascii(trick[0]))
def test_an_image_that_clients_may_read_in_another_way_is_refused(trick: tuple[str, Any]) -> None:
    """Whoever may push could hide from the gate what is pulled.

    Go's encoding/json takes keys in any case, and the last of several: docker and containerd would pull `Layers`,
    which a scanner that goes by the letter has never looked at. With `manifests` beside its layers, some clients
    take an image for an index (CVE-2021-41190). An index of that kind is refused already.
    """
    with pytest.raises(GateRefused) as refusal:
        judged(image(trick))

    assert [reason.code for reason in refusal.value.reasons] == ["unreadable_image"]


def test_an_image_that_reads_in_one_way_only_is_judged_by_its_scan() -> None:
    """Keys that nobody knows harm nobody."""
    judged(image(("annotations", {"team": "a"}), ("x-note", 1)))
