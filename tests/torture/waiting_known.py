"""What is known of a run of the part `waiting`: what the registry and the announcements told, and the records.

The ledger is asked which promotion says that it made a push. What the registry told must agree with that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.torture.client import ApiClient
from tests.torture.consistency import Move, Record, moves_of
from tests.torture.waiting_load import Load, records
from tests.torture.waiting_script import FOREIGN
from tests.torture.witness import Announced, Push, Witness

SOURCES = ("build-", "candidate-")
Place = tuple[str, str]
"""A repository and a tag."""


@dataclass(frozen=True)
class Put:
    """A push of a tag by the service, what the tag was on before, and the move that the ledger has of it."""

    push: Push
    before: Push | None
    move: Move | None


@dataclass
class Known:
    """All that is known of a run; `disagreements` are between the registry, the heads and the records."""

    load: Load
    counts: Counter[str]
    pushes: dict[Place, list[Push]] = field(default_factory=lambda: defaultdict(list))
    announced: dict[str, list[Announced]] = field(default_factory=lambda: defaultdict(list))
    records: dict[str, Record] = field(default_factory=dict)
    puts: dict[Place, list[Put]] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)

    def is_beside(self, push: Push) -> bool:
        """Whether others pushed it."""
        return self.load.script.of(push.repository, push.image_digest).number == FOREIGN

    def puts_of(self, promotion_id: str) -> list[Put]:
        """Return the pushes that a promotion made."""
        every = (put for puts in self.puts.values() for put in puts)
        return [put for put in every if put.move and put.move.promotion_id == promotion_id]

    def pushes_of(self, repository: str, digest: str) -> Iterator[Push]:
        """Yield the pushes of an image by any tag."""
        for (name, _), pushes in self.pushes.items():
            yield from (push for push in pushes if name == repository and push.image_digest == digest)


def read(load: Load, witness: Witness, counts: Counter[str]) -> Known:
    """Ask the witness, the ledger and the registry about a run that is over."""
    known = Known(load, counts)
    for push in witness.pushes():
        known.pushes[push.repository, push.image_tag].append(push)
    for each in witness.announcements():
        if each.detail_type != "Tag Drifted":
            known.announced[each.detail["promotionId"]].append(each)
    with load.deployment.client() as client:
        for repository in dict.fromkeys(build.repository for build in load.script.builds):
            _read_repository(known, client, repository)
    return known


def _read_repository(known: Known, client: ApiClient, repository: str) -> None:
    deployment = known.load.deployment
    found = records(deployment, client, repository)
    known.records |= {record["promotionId"]: record for record in found if "promotionId" in record}
    listed = deployment.listed(client, "/heads", "heads", repositoryName=repository)
    heads, registry = {head["imageTag"]: head["imageDigest"] for head in listed}, deployment.tags(repository)
    for tag in _targets(known.pushes, repository, found):
        query = {"repositoryName": repository, "imageTag": tag}
        moves = moves_of(deployment.listed(client, "/promotions", "promotions", **query), tag)
        known.disagreements += _matched(known, (repository, tag), moves)
        known.disagreements += _places(known, (repository, tag), heads.get(tag), registry.get(tag))


def _targets(pushes: Mapping[Place, Sequence[Push]], repository: str, found: Sequence[Record]) -> list[str]:
    """Return the target tags of a repository."""
    pushed = {tag for name, tag in pushes if name == repository and not tag.startswith(SOURCES)}
    return sorted(pushed | {image["imageTag"] for record in found for image in record.get("images", ())})


def _matched(known: Known, place: Place, moves: Sequence[Move]) -> Iterator[str]:
    """Match what the registry told with the ledger's moves, in order; yield what only one of them knows."""
    pushes, left, matched = known.pushes.get(place, []), list(moves), known.puts.setdefault(place, [])
    has_others = any(known.is_beside(push) for push in pushes)
    for before, push in zip((None, *pushes), pushes, strict=False):
        if known.is_beside(push):
            continue
        known.counts["pushes checked"] += 1
        move = left.pop(0) if left and left[0].digest == push.image_digest else None
        matched.append(Put(push, before, move))
        if move is None and not has_others:
            yield f"{place}: {push} is not in the ledger, whose next move is {left[:1]}"
    if left:
        yield f"{place}: the registry told nothing of {left}"


def _places(known: Known, place: Place, head: str | None, tag: str | None) -> Iterator[str]:
    """Yield a tag that is not where the registry put it last, and a head that is not there either."""
    pushes = known.pushes.get(place, [])
    last = pushes[-1].image_digest if pushes else None
    if tag != last:
        yield f"{place} is on {tag}, the last push was {last}"
    if not any(known.is_beside(push) for push in pushes) and head != last:
        yield f"{place}: the head is {head}, the tag is on {last}"
