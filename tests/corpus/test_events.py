"""Every event of the corpus asks for a promotion, or is ignored with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promoter.domain.policy import Policy
from promoter.entrypoints import image_events
from tests.corpus.conftest import files, name
from tests.support.policies import policy, rule

# The reason for each. The digests in AWS's documents are placeholders; the other events ask for no promotion.
IGNORED = {
    "ecr-image-scan.complete.json": "not a sha256 digest",
    "ecr-image-scan.complete.no-findings.json": "not a sha256 digest",
    "inspector2-scan.ecr.findings.json": "not a sha256 digest",
    "ecr-image-scan.failed.json": "FAILED",
    "inspector2-scan.ec2.json": "not of an image",
    "ecr-image-action.push.json": "not a sha256 digest",
    "ecr-image-action.push.untagged-real.json": "pushed without a tag",
    "ecr-image-action.delete.json": "action-type is DELETE",
    "ecr-image-action.archive.json": "action-type is UPDATE_STORAGE_CLASS",
    "ecr-image-action.restore.json": "action-type is UPDATE_STORAGE_CLASS",
    "ecr-referrer-action.restore.json": "action-type is UPDATE_STORAGE_CLASS",
}
READ = {
    "inspector2-scan.ecr.zero.json": ("inspector2", "ubuntu22"),
    "ecr-image-action.push.tagged-real.json": ("node", "20-alpine3.16"),
}


def all_of(account: str) -> Policy:
    """Return a policy that promotes every image with a finished scan, with or without a tag."""
    return policy(rule(on="scan", repositories=["*"], registry=account, to=["seen"]))


@pytest.mark.parametrize("file", [f for f in files("events") if not f.name.startswith("describe-")], ids=name)
def test_every_event_is_read_or_ignored_with_its_reason(file: Path) -> None:
    """A finished scan or a push by tag asks for a promotion of its digest. All others are ignored."""
    event = json.loads(file.read_bytes())

    read = image_events.read(event, registry_id=event["account"], region=event["region"])

    if isinstance(read, image_events.Ignored):
        assert IGNORED.get(file.name, "is not a finished image scan") in read.reason
        return
    repository, tag = READ[file.name]
    assert read.repository.name == repository
    promotions = image_events.promotions(read, all_of(event["account"]))
    assert not isinstance(promotions, image_events.Ignored)
    assert [promotion.source.image_id.image_tag for promotion in promotions] == [tag]
    assert promotions[0].source.image_digest == event["detail"]["image-digest"]


@pytest.mark.parametrize("file", [f for f in files("events") if "-scan.complete" in f.name], ids=name)
def test_the_scans_of_the_documents_promote_with_a_valid_digest(file: Path) -> None:
    """With a digest in place of the placeholder. Missing tags or counts do not matter."""
    event = json.loads(file.read_bytes())
    event["detail"]["image-digest"] = "sha256:" + "7" * 64

    read = image_events.read(event, registry_id=event["account"], region=event["region"])

    assert isinstance(read, image_events.ImageEvent)
    promotions = image_events.promotions(read, all_of(event["account"]))
    assert not isinstance(promotions, image_events.Ignored)
    assert promotions[0].source.image_id.image_tag is None
