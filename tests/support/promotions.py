"""Promotions of one repository with three images, and a clock that goes on at each look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from promoter.domain.model import ImageId, Manifest, Promotion, Source, Trigger
from tests.support.policies import policy, rule
from tests.support.registries import REPOSITORY, manifest

OLD, NEW, OTHER = manifest('{"old": 1}'), manifest('{"new": 1}'), manifest('{"other": 1}')
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANY_TAG = policy(rule(to_matching=[".*"]))
SCANS = policy(rule(name="staging", on="scan", to=["staging"], **{"from": "build-.*"}))


def promotion(tag: str = "new", **members: Any) -> Promotion:
    """Ask for prod on the image of a tag."""
    defaults: dict[str, Any] = {
        "promotion_id": "p-1",
        "trigger": Trigger.REQUEST,
        "repository": REPOSITORY,
        "source": Source(ImageId(tag)),
    }
    return Promotion(**(defaults | members))


@dataclass
class Ticking:
    """A clock that goes on by a second, or by another step, at each look."""

    at: datetime = NOW
    step: timedelta = timedelta(seconds=1)

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at


def scan_of(image: Manifest, tag: str) -> Promotion:
    return promotion(trigger=Trigger.SCAN, source=Source(ImageId(tag, image.digest)), rule="staging")
