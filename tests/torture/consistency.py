"""Checks that records, heads, the registry and the answers to callers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from tests.torture.client import ApiClient
from tests.torture.deployment import Deployment
from tests.torture.load import Load, Sent, is_retryable

Record = Mapping[str, Any]


class Move(NamedTuple):
    """A promotion moved a tag to a digest; `previous` is the digest that the tag pointed at before."""

    promotion_id: str
    digest: str
    previous: str | None


def broken_promises(deployment: Deployment, load: Load, counts: Counter[str], *, quiet: bool) -> Iterator[str]:
    """Yield every broken promise. Without `quiet`, crashed promotions may still hold leases."""
    # Before the records: an event that is not queued any longer has its record by then.
    queued = deployment.messages_in("PROMOTER_EVENTS")
    recorded: list[Record] = []
    with deployment.client() as client:
        for builds in load.repositories:
            # The heads before the records: if a promotion still runs, the move of a head is in the records.
            query = {"repositoryName": builds.repository}
            heads = list(deployment.listed(client, "/heads", "heads", **query))
            records = list(deployment.listed(client, "/promotions", "promotions", **query))
            recorded += records
            counts["promotions recorded"] += len(records)
            counts["promotions that moved tags"] += sum(record["outcome"] == "PROMOTED" for record in records)
            for tag, places in places_of(deployment, client, builds.repository, heads, records).items():
                counts["tags checked"] += 1
                yield from tag_violations(tag, places, counts, quiet=quiet)
        for sent in load.sent:
            yield from answer_violations(client, sent, counts)
    yield from lost_events(deployment, load, recorded, queued, counts)


def moves_of(records: Iterable[Record], tag: str) -> list[Move]:
    """Return the moves of a tag, oldest first. The records are newest first.

    A promotion that resumes after a crash records the moves of the earlier attempt again; so does one that is
    refused before it starts. Such a move counts again only if the tag had returned to where the move starts.
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
    deployment: Deployment, client: ApiClient, repository: str, heads: Iterable[Record], records: Sequence[Record]
) -> dict[str, Places]:
    """Return where each tag is that somebody has moved.

    The moves are read from the tag's history, which keeps every attempt of a promotion. The promotion's own record
    is that of its last attempt: it does not show an earlier move of a tag that others moved in between.
    """
    by_tag = {head["imageTag"]: head["imageDigest"] for head in heads}
    registry = {tag: digest for tag, digest in deployment.tags(repository).items() if not tag.startswith("build-")}
    tags = by_tag.keys() | {image["imageTag"] for record in records for image in record.get("images", ())}
    query = {"repositoryName": repository}
    return {
        f"{repository}:{tag}": Places(
            moves_of(deployment.listed(client, "/promotions", "promotions", **query, imageTag=tag), tag),
            by_tag.get(tag),
            registry.get(tag),
        )
        for tag in sorted(tags | registry.keys())
    }


def tag_violations(tag: str, places: Places, counts: Counter[str], *, quiet: bool) -> Iterator[str]:
    """Yield a gap between two moves, a head that is not the last move, and a tag that is not at its head."""
    moves = places.moves
    if moves and moves[0].previous is not None:
        yield f"{tag}: the first move starts at {moves[0].previous}, which no record moved it to"
    for before, after in pairwise(moves):
        counts["moves checked"] += 1
        if after.previous != before.digest:
            yield f"{tag}: {after} does not start where {before} ended"
    last = moves[-1].digest if moves else None
    if quiet and (places.head, places.registry) != (last, last):
        yield f"{tag}: the head is {places.head}, the registry has {places.registry}, the last move went to {last}"
    if places.head not in {None, *(move.digest for move in moves)}:
        yield f"{tag}: the head is {places.head}, but no move went there"


def answer_violations(client: ApiClient, sent: Sent, counts: Counter[str]) -> Iterator[str]:
    """Yield each 200 that differs from the promotion's record, and each internal error."""
    for answer in sent.answers:
        counts["answers checked"] += 1
        answered = answer.document
        if answered.get("code") == "internal_error":
            yield f"{sent.request.target} of {sent.repository}: {answered}"
        if answer.status != 200:
            continue
        record = client.call("GET", f"/promotions/{answered['promotionId']}").document
        put = {image["imageId"]["imageTag"]: image["imageId"]["imageDigest"] for image in answered["images"]}
        outcomes = {image["imageId"]["imageTag"]: image["outcome"] for image in answered["images"]}
        recorded = {image["imageTag"]: image["outcome"] for image in record.get("images", ())}
        digests = {
            image["imageTag"]: image.get("imageDigest", record.get("imageDigest"))
            for image in record.get("images", ())
        }
        if (record.get("outcome"), recorded, digests) != (answered["outcome"], outcomes, put):
            yield f"{answered['promotionId']} was answered {answered['outcome']} {put}, the record is {record}"
    if sent.key and is_retryable(sent.answers[-1]):
        counts["requests without a final answer"] += 1


def lost_events(
    deployment: Deployment, load: Load, records: Iterable[Record], queued: int, counts: Counter[str]
) -> Iterator[str]:
    """Yield scans without a record, a queued event or a dead letter, and events that were not delivered."""
    recorded = {
        (record["repositoryName"], record.get("source", {}).get("imageDigest"))
        for record in records
        if record["trigger"] == "scan"
    }
    missing = set(load.scans) - recorded
    dead = deployment.messages_in("PROMOTER_FAILED_EVENTS")
    counts["scans"] += len(load.scans)
    counts["events still queued"] += queued
    counts["dead letters after kills"] += dead
    if len(missing) > queued + dead:
        yield f"scans of {sorted(missing)} have no record: {queued} events are queued, {dead} are dead letters"
    if undelivered := deployment.messages_in("PROMOTER_UNDELIVERED_EVENTS"):
        yield f"{undelivered} events could not be delivered"
