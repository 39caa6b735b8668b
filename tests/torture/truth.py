"""What must be true once all is quiet: records, heads, the registry and what callers were told agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from tests.torture.load import Load, Sent, may_be_sent_again
from tests.torture.stage import Stage
from tests.torture.wire import Wire

Record = Mapping[str, Any]


class Move(NamedTuple):
    """A tag that a promotion put on a digest, and the digest where it was before."""

    promotion_id: str
    digest: str
    previous: str | None


def broken_promises(stage: Stage, load: Load, counts: Counter[str], *, settled: bool) -> Iterator[str]:
    """Tell every promise that does not hold. Without `settled`, crashed promotions may still hold their tags."""
    # Before the records: what does not wait any longer then is among them.
    waiting = stage.waiting("PROMOTER_EVENTS")
    recorded: list[Record] = []
    with stage.wire() as wire:
        for place in load.places:
            # The heads before the records: where something still goes on, a head was a move that is recorded.
            heads = list(stage.listed(wire, "/heads", "heads", repositoryName=place.repository))
            records = list(stage.listed(wire, "/promotions", "promotions", repositoryName=place.repository))
            recorded += records
            counts["promotions recorded"] += len(records)
            counts["promotions that moved tags"] += sum(record["outcome"] == "PROMOTED" for record in records)
            for tag, places in places_of(stage, wire, place.repository, heads, records).items():
                counts["tags checked"] += 1
                yield from tag_that_disagrees(tag, places, counts, settled=settled)
        for sent in load.sent:
            yield from wrong_answers(wire, sent, counts)
    yield from lost_events(stage, load, recorded, waiting, counts)


def moves_of(records: Iterable[Record], tag: str) -> list[Move]:
    """Return the moves of a tag in order, from records that come the newest first.

    A promotion that carries on after a crash repeats in its record what the attempt before it has put; so does one
    that is refused before it begins. A move that is told again is one only if the tag was back where it begins.
    """
    found = [
        (
            Move(
                record["promotionId"],
                image.get("imageDigest", record.get("imageDigest")),
                image.get("previousDigest"),
            ),
            record["outcome"] != "REFUSED",
        )
        for record in records
        for image in record.get("images", ())
        if image["imageTag"] == tag and image["outcome"] == "PROMOTED"
    ]
    moves: list[Move] = []
    for move, begun in reversed(found):
        if move not in moves or (begun and move.previous == moves[-1].digest):
            moves.append(move)
    return moves


@dataclass(frozen=True)
class Places:
    """Where a tag is: by its recorded moves, by its head, and in the registry."""

    moves: list[Move]
    head: str | None
    registry: str | None


def places_of(
    stage: Stage, wire: Wire, repository: str, heads: Iterable[Record], records: Sequence[Record]
) -> dict[str, Places]:
    """Return the places of every tag that somebody has moved.

    The moves are those of the tag's own history. It keeps every attempt of a promotion. The promotion's record
    is that of its last attempt: it has a tag that others moved in between as that attempt found it.
    """
    by_tag = {head["imageTag"]: head["imageDigest"] for head in heads}
    registry = {tag: digest for tag, digest in stage.tags(repository).items() if not tag.startswith("build-")}
    tags = by_tag.keys() | {image["imageTag"] for record in records for image in record.get("images", ())}
    query = {"repositoryName": repository}
    return {
        f"{repository}:{tag}": Places(
            moves_of(stage.listed(wire, "/promotions", "promotions", **query, imageTag=tag), tag),
            by_tag.get(tag),
            registry.get(tag),
        )
        for tag in sorted(tags | registry.keys())
    }


def tag_that_disagrees(tag: str, places: Places, counts: Counter[str], *, settled: bool) -> Iterator[str]:
    """Tell a chain that is broken, a head that is not the last move, a tag that is not at its head."""
    moves = places.moves
    if moves and moves[0].previous is not None:
        yield f"{tag}: the first move was from {moves[0].previous}, which nobody recorded"
    for before, after in pairwise(moves):
        counts["moves checked"] += 1
        if after.previous != before.digest:
            yield f"{tag}: {after} does not begin where {before} ended"
    last = moves[-1].digest if moves else None
    if settled and (places.head, places.registry) != (last, last):
        yield f"{tag}: the head is {places.head}, the registry has {places.registry}, the last move went to {last}"
    if places.head not in {None, *(move.digest for move in moves)}:
        yield f"{tag}: the head is {places.head}, and no move went there"


def wrong_answers(wire: Wire, sent: Sent, counts: Counter[str]) -> Iterator[str]:
    """Tell answers of success that no record bears out, and failures that are the service's own."""
    for answer in sent.answers:
        counts["answers checked"] += 1
        told = answer.document
        if told.get("code") == "internal_error":
            yield f"{sent.request.target} of {sent.repository}: {told}"
        if answer.status != 200:
            continue
        record = wire.call("GET", f"/promotions/{told['promotionId']}").document
        put = {image["imageId"]["imageTag"]: image["imageId"]["imageDigest"] for image in told["images"]}
        outcomes = {image["imageId"]["imageTag"]: image["outcome"] for image in told["images"]}
        recorded = {image["imageTag"]: image["outcome"] for image in record.get("images", ())}
        digests = {
            image["imageTag"]: image.get("imageDigest", record.get("imageDigest"))
            for image in record.get("images", ())
        }
        if (record.get("outcome"), recorded, digests) != (told["outcome"], outcomes, put):
            yield f"{told['promotionId']} was answered {told['outcome']} {put}, and the record says {record}"
    if sent.key and may_be_sent_again(sent.answers[-1]):
        counts["requests without a final answer"] += 1


def lost_events(
    stage: Stage, load: Load, records: Iterable[Record], waiting: int, counts: Counter[str]
) -> Iterator[str]:
    """Tell scans without a record that neither wait nor are dead letters, and events that were not delivered."""
    recorded = {
        (record["repositoryName"], record.get("source", {}).get("imageDigest"))
        for record in records
        if record["trigger"] == "scan"
    }
    missing = set(load.scans) - recorded
    dead = stage.waiting("PROMOTER_FAILED_EVENTS")
    counts["scans"] += len(load.scans)
    counts["events that wait"] += waiting
    counts["dead letters after kills"] += dead
    if len(missing) > waiting + dead:
        yield f"scans of {sorted(missing)} led to no promotion: {waiting} events wait, {dead} are dead letters"
    if undelivered := stage.waiting("PROMOTER_UNDELIVERED_EVENTS"):
        yield f"{undelivered} events could not be delivered"
