"""Images of which Amazon ECR does not say when they were pushed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from promoter.aws.ecr.image_facts import EcrImageFacts
from promoter.domain.gate import Gate
from promoter.domain.model import Repository
from promoter.promotion.evidence import gather
from tests.support.registries import InMemoryRegistry, KnownImageFacts, manifest
from tests.unit.promotion.test_evidence import REPOSITORY

IMAGE = manifest("{}")


class Silent(KnownImageFacts):
    """ImageFacts that do not know when anything was pushed."""

    def pushed(self, repository: Repository, image_digests: Sequence[str]) -> dict[str, datetime]:
        return {}


def test_an_image_of_unknown_age_soaks() -> None:
    """DescribeImages leaves out images that are no longer active: one that was archived a moment ago.

    It is not known to be old enough. A KeyError would be answered as a mistake of ours, and sent as a dead letter.
    """
    gate = Gate(soak=timedelta(hours=1))

    evidence = gather(gate, REPOSITORY, IMAGE, registry=InMemoryRegistry(), image_facts=Silent())

    assert [reason.code for reason in gate.judge(evidence, now=datetime.now(UTC))] == ["soaking"]


def test_an_answer_without_a_time_is_none() -> None:
    """No member of ImageDetail is required (Amazon ECR API reference)."""
    answer: dict[str, Any] = {"imageDetails": [{"imageDigest": IMAGE.digest}]}
    client: Any = SimpleNamespace(describe_images=lambda **_: answer)

    assert EcrImageFacts(client).pushed(REPOSITORY, [IMAGE.digest]) == {}
