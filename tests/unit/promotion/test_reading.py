"""What a promotion makes of images that it cannot read, or that change while it looks at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from promoter.domain.errors import RegistryError, SourceNotFound, Superseded, TagBusy
from promoter.domain.model import Head, ImageId, Outcome, Promotion, Repository, Scan, Source, Trigger
from promoter.domain.ports import Found
from promoter.entrypoints.http import views
from promoter.promotion.drift_checks import read_tags
from tests.support.answers import promote
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import policy, rule
from tests.support.registries import REPOSITORY, InMemoryRegistry, KnownImageFacts, manifest

OLD, NEW = manifest('{"old": 1}'), manifest('{"new": 1}')
ANY_TAG = policy(rule(to_matching=[".*"]))
BY_DIGEST = policy(rule(to=["sha-{digest}"]))
SCANS = policy(rule(name="staging", on="scan", to=["staging"], **{"from": "build-.*"}))


def promotion(tag: str = "new", **members: Any) -> Promotion:
    """Ask for prod on the image of a tag."""
    defaults: dict[str, Any] = {"promotion_id": "p-1", "trigger": Trigger.REQUEST, "repository": REPOSITORY}
    return Promotion(**(defaults | {"source": Source(ImageId(tag))} | members))


def scan(tag: str | None = "build-1") -> Promotion:
    return promotion(trigger=Trigger.SCAN, source=Source(ImageId(tag, NEW.digest)), rule="staging")


def test_a_target_tag_on_an_archived_image_is_not_moved() -> None:
    """Where it is cannot be told, so that nothing could be compared, and nothing rolled back."""
    registry = InMemoryRegistry({"new": NEW, "prod": OLD}, unreadable=frozenset({"prod"}))

    with pytest.raises(
        RegistryError, match=r"not known where tag prod of team/web is.*restore the image or delete"
    ):
        promote(promotion(), dependencies(ANY_TAG, registry))
    assert registry.puts == []


def test_one_unreadable_tag_spoils_no_other() -> None:
    """A promotion of other tags does not even ask about it."""
    registry = InMemoryRegistry({"new": NEW, "prod": OLD}, unreadable=frozenset({"prod"}))

    assert promote(promotion(image_tags=("canary",)), dependencies(ANY_TAG, registry)).outcome is Outcome.PROMOTED


def test_an_archived_source_is_not_restored_by_promoting_it() -> None:
    """PutImage would restore it silently: whoever wants that does it, and then promotes."""
    registry = InMemoryRegistry({"new": NEW}, unreadable=frozenset({"new"}))

    with pytest.raises(RegistryError, match="restore it, then promote again"):
        promote(promotion(), dependencies(ANY_TAG, registry))
    assert registry.puts == []


@pytest.mark.parametrize("tag", ["build-1", None])
def test_an_event_of_a_deleted_source_is_superseded(tag: str | None) -> None:
    """That somebody deletes old builds is normal: it is recorded as a refusal, and is no failure that alarms."""
    ledger = InMemoryLedger()
    rules = policy(rule(name="staging", on="scan", to=["staging"]))

    with pytest.raises(Superseded, match="was deleted after its event"):
        promote(scan(tag), dependencies(rules, InMemoryRegistry(), ledger=ledger))
    assert ledger.outcomes() == [Outcome.REFUSED]


@dataclass
class Moving(InMemoryRegistry):
    """A registry in which something happens after its first read."""

    happens: Callable[[], object] | None = None

    def read(self, repository: Repository, image_ids: Sequence[ImageId]) -> dict[ImageId, Found]:
        answers = super().read(repository, image_ids)
        happens, self.happens = self.happens, None
        if happens:
            happens()
        return answers


def test_a_source_tag_that_moves_between_two_reads_is_read_again() -> None:
    """The digest that its tag is made of, and the image that is put, are one: the later one."""
    registry = Moving({"new": OLD})
    registry.happens = lambda: registry.tags.update(new=NEW)

    answer = promote(promotion(), dependencies(BY_DIGEST, registry))

    assert answer.manifest == NEW
    assert list(registry.tags) == ["new", f"sha-{NEW.digest[7:19]}"]


def test_a_source_that_never_holds_still_may_be_tried_again() -> None:
    """It is not recorded as a source that does not exist."""
    registry, ledger = Moving({"new": OLD}), InMemoryLedger()

    def swap() -> None:
        registry.tags["new"] = OLD if registry.tags["new"] == NEW else NEW
        registry.happens = swap

    registry.happens = swap
    ticks = iter(range(1000))
    now = lambda: datetime.fromtimestamp(next(ticks), UTC)  # noqa: E731

    with pytest.raises(TagBusy, match="source tag moved"):
        promote(promotion(), dependencies(BY_DIGEST, registry, ledger=ledger, now=now))
    assert ledger.announced == []


def test_a_source_that_is_gone_at_the_second_read_is_not_found() -> None:
    """The first read that says so is believed."""
    registry = Moving({"new": OLD})
    registry.happens = registry.tags.clear

    with pytest.raises(SourceNotFound):
        promote(promotion(), dependencies(BY_DIGEST, registry))


def test_an_image_that_is_deleted_while_its_order_is_looked_at_is_superseded() -> None:
    """DescribeImages no longer knows it."""
    registry = Moving({"build-1": NEW, "staging": OLD})
    registry.happens = lambda: registry.tags.pop("build-1")
    image_facts = KnownImageFacts(
        {NEW.digest: Scan("COMPLETE")}, pushes={OLD.digest: datetime(2026, 1, 1, tzinfo=UTC)}
    )

    with pytest.raises(Superseded, match="was deleted"):
        promote(scan(), dependencies(SCANS, registry, image_facts))


def test_an_unreadable_tag_is_no_drift_to_who_looks_at_heads() -> None:
    """It is told as what it is; the other tags of the page are compared."""
    moved = datetime(2026, 11, 24, tzinfo=UTC)
    heads = [Head(REPOSITORY, tag, OLD.digest, "p-1", moved) for tag in ("prod", "canary")]
    registry = InMemoryRegistry({"prod": OLD, "canary": NEW}, unreadable=frozenset({"prod"}))

    prod, canary = views.compared(read_tags(heads, registry))

    assert (prod["registryDigest"], prod["drift"]) == (None, None)
    assert "archived" in prod["unreadable"]
    assert (canary["registryDigest"], canary["drift"]) == (NEW.digest, True)
    assert "unreadable" not in canary
