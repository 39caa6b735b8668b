"""What must hold of promotions that wait, judged by what the registry and the announcements told.

The witness has every push of a tag with its time. The script has what was asked, and when each scan ended. The
ledger is only asked which promotion says that it made a push.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.torture.consistency import Move, Record, moves_of
from tests.torture.waiting_load import Load, records
from tests.torture.waiting_script import FOREIGN, SOAK, Asked
from tests.torture.witness import Announced, Push, Witness

CLOCK = 0.01  # seconds; the witness cuts its times to milliseconds
SOURCES = ("build-", "candidate-")
LATE = 45.0
"""Seconds after `waitsUntil` until which a tag may still be put: a try that began before it, and its lease."""
SHORT = 60.0  # seconds; a request that may wait longer does not expire in a run
BESIDE = 15.0
"""Seconds in which a push beside the service may be overwritten: Amazon ECR has no compare-and-swap."""


@dataclass(frozen=True)
class Put:
    """A push of a tag by the service, what the tag was on before, and the move that the ledger has of it."""

    push: Push
    before: Push | None
    move: Move | None


@dataclass(frozen=True)
class Known:
    """All that was told of a run."""

    load: Load
    pushes: Mapping[tuple[str, str], Sequence[Push]]
    records: Mapping[str, Record]
    announced: Mapping[str, Sequence[Announced]]
    puts: Mapping[tuple[str, str], Sequence[Put]]

    def is_beside(self, push: Push) -> bool:
        """Whether others pushed it."""
        return self.load.script.of(push.repository, push.image_digest).number == FOREIGN

    def puts_of(self, promotion_id: str) -> list[Put]:
        """Return the pushes that a promotion made."""
        return [
            put
            for puts in self.puts.values()
            for put in puts
            if put.move and put.move.promotion_id == promotion_id
        ]


def broken_promises(load: Load, witness: Witness, counts: Counter[str]) -> Iterator[str]:
    """Yield every broken promise of a run."""
    pushes: dict[tuple[str, str], list[Push]] = defaultdict(list)
    for push in witness.pushes():
        pushes[push.repository, push.image_tag].append(push)
    announced: dict[str, list[Announced]] = defaultdict(list)
    for each in witness.announcements():
        if "promotionId" in each.detail and each.detail_type != "Tag Drifted":
            announced[each.detail["promotionId"]].append(each)
    puts: dict[tuple[str, str], list[Put]] = {}
    known = Known(load, pushes, {}, announced, puts)
    recorded: dict[str, Record] = {}
    with load.deployment.client() as client:
        for repository in dict.fromkeys(build.repository for build in load.script.builds):
            found = records(load.deployment, client, repository)
            recorded |= {record["promotionId"]: record for record in found if "promotionId" in record}
            heads = {
                head["imageTag"]: head["imageDigest"]
                for head in load.deployment.listed(client, "/heads", "heads", repositoryName=repository)
            }
            registry = load.deployment.tags(repository)
            for tag in targets(repository, pushes, found):
                query = {"repositoryName": repository, "imageTag": tag}
                moves = moves_of(load.deployment.listed(client, "/promotions", "promotions", **query), tag)
                yield from _matched(known, (repository, tag), moves, puts, counts)
                yield from _places(known, (repository, tag), heads.get(tag), registry.get(tag))
    known = Known(load, pushes, recorded, announced, puts)
    for place in puts:
        yield from early(known, place, counts)
    for asked in load.script.asked:
        yield from of_request(known, asked, counts)
    for promotion_id in recorded.keys() | announced.keys():
        yield from of_end(known, promotion_id, counts)
    yield from of_builds(known, counts)


def targets(
    repository: str, pushes: Mapping[tuple[str, str], Sequence[Push]], found: Sequence[Record]
) -> list[str]:
    """Return the target tags of a repository."""
    pushed = {tag for name, tag in pushes if name == repository and not tag.startswith(SOURCES)}
    return sorted(pushed | {image["imageTag"] for record in found for image in record.get("images", ())})


def _matched(
    known: Known,
    place: tuple[str, str],
    moves: Sequence[Move],
    puts: dict[tuple[str, str], list[Put]],
    counts: Counter[str],
) -> Iterator[str]:
    """Match what the registry told with the ledger's moves, in order; yield what only one of them knows."""
    pushes, left, matched = known.pushes.get(place, ()), list(moves), puts.setdefault(place, [])
    has_others = any(known.is_beside(push) for push in pushes)
    for before, push in zip((None, *pushes), pushes, strict=False):
        if known.is_beside(push):
            continue
        counts["pushes checked"] += 1
        move = left.pop(0) if left and left[0].digest == push.image_digest else None
        matched.append(Put(push, before, move))
        if move is None and not has_others:
            yield f"{place}: {push} is not in the ledger, whose next move is {left[:1]}"
    if left:
        yield f"{place}: the registry told nothing of {left}"


def _places(known: Known, place: tuple[str, str], head: str | None, tag: str | None) -> Iterator[str]:
    """Yield a tag that is not where the registry put it last, and a head that is not there either."""
    pushes = known.pushes.get(place, ())
    last = pushes[-1].image_digest if pushes else None
    if tag != last:
        yield f"{place} is on {tag}, the last push was {last}"
    if not any(known.is_beside(push) for push in pushes) and head != last:
        yield f"{place}: the head is {head}, the tag is on {last}"


def early(known: Known, place: tuple[str, str], counts: Counter[str]) -> Iterator[str]:
    """Yield every push before its time: a scan, soak time or a freeze had not ended; or of what is not clean."""
    repository, tag = place
    for put in known.puts[place]:
        push, build = put.push, known.load.script.of(repository, put.push.image_digest)
        if tag.startswith(("gated-", "built-")):
            counts["scans before pushes checked"] += 1
            if build.passed_at is None or push.time + CLOCK < build.passed_at:
                yield f"{push} was early: the scans passed at {build.passed_at}, clean: {build.is_clean}"
        if tag.startswith("soaked-"):
            first = min(each.time for each in _of_image(known, repository, push.image_digest))
            if push.time + 1 < first + SOAK:
                yield f"{push} was early: the image is there since {first}"
        if "-ice-" in repository and push.time + CLOCK < (known.load.thawed_at or push.time + 1):
            yield f"{push} was early: the freeze was lifted at {known.load.thawed_at}"


def _of_image(known: Known, repository: str, digest: str) -> Iterator[Push]:
    for (name, _), pushes in known.pushes.items():
        yield from (push for push in pushes if name == repository and push.image_digest == digest)


def of_request(known: Known, asked: Asked, counts: Counter[str]) -> Iterator[str]:
    """Yield what is wrong with a request that was accepted to wait."""
    counts["requests"] += 1
    for _, answer in asked.answers:
        if answer.document.get("code") == "internal_error":
            yield f"{asked.body}: {answer.document}"
    if asked.accepted is None:
        return
    counts["accepted to wait"] += 1
    at, accepted = asked.accepted
    record = known.records.get(accepted["promotionId"])
    if record is None:
        yield f"{accepted} has no record of its end"
        return
    counts[f"ended {record.get('code') or record['outcome']}"] += 1
    if objection := unjustified(known, asked, record):
        yield f"{objection}, but {record}"
    yield from _same_digest(known, asked, record, counts)
    until = datetime.fromisoformat(accepted["waitsUntil"]).timestamp()
    for put in known.puts_of(record["promotionId"]):
        yield from _over_newer(known, put, at, accepted, counts)
        if record.get("code") in ("cancelled", "expired") or put.push.time > until + LATE:
            yield f"{put} of a promotion that ended: {record}"
    ends = {each["promotionId"] for _, answer in asked.answers if (each := answer.document).get("promotionId")}
    if asked.key and len(ends) > 1:
        yield f"the key {asked.key} stands for {ends}"


def _same_digest(known: Known, asked: Asked, record: Record, counts: Counter[str]) -> Iterator[str]:
    """Yield another digest than the one that was accepted, in the answer, the record or the registry."""
    at, accepted = asked.accepted or (0.0, {})
    digest, source = accepted.get("imageDigest"), asked.body["source"]
    if "imageTag" in source:
        pushes = known.pushes[asked.repository, source["imageTag"]]
        before = [push for push in pushes if push.time <= asked.sent[0]]
        during = [push for push in pushes if asked.sent[0] < push.time <= at + CLOCK]
        allowed = {push.image_digest for push in (*before[-1:], *during)}
    else:
        allowed = {source["imageDigest"]}
    if digest not in allowed or record.get("imageDigest", digest) != digest:
        yield f"accepted was {digest}, of {allowed}, recorded {record}"
    for put in known.puts_of(record["promotionId"]):
        counts["digests checked"] += 1
        if put.push.image_digest != digest:
            yield f"accepted was {digest}, but {put}"


def _over_newer(
    known: Known, put: Put, at: float, accepted: Mapping[str, Any], counts: Counter[str]
) -> Iterator[str]:
    """Yield a push over a tag that had moved after the promotion was accepted."""
    seen = {image["imageTag"]: image["previousDigest"] for image in accepted["images"]}
    counts["pushes after a wait checked"] += 1
    is_excused = put.before and known.is_beside(put.before) and put.push.time - put.before.time < BESIDE
    before = put.before.image_digest if put.before else None
    if not is_excused and before != seen[put.push.image_tag]:
        yield f"{put} went over a newer move: accepted was {accepted}"
    if put.before and put.before.time > at + CLOCK and not is_excused:
        yield f"{put} went over a move that came after the promotion was accepted at {at}"


def unjustified(known: Known, asked: Asked, record: Record) -> str | None:
    """Say why a request should not have ended so; None: it is right."""
    others = [
        each
        for each in known.load.script.asked
        if each is not asked
        and each.repository == asked.repository
        and set(each.image_tags) & set(asked.image_tags)
        and each.sent
        and each.sent[-1] >= asked.sent[0] - LATE
    ]
    beside = [
        push
        for tag in asked.image_tags
        for push in known.pushes.get((asked.repository, tag), ())
        if push.time >= asked.sent[0] - LATE
    ]
    build = known.load.script.of(asked.repository, record.get("imageDigest") or asked.build.digest)
    allowed = {
        "gate_refused": (not build.is_clean, "its image is clean"),
        "superseded": (bool(others or beside), "nobody else moved its tags"),
        "expired": (asked.seconds is not None and asked.seconds <= SHORT, "it had hours to wait"),
        "cancelled": (asked.is_cancelled, "nobody cancelled it"),
        "tag_changed": ("expectedDigests" in asked.body, "it expected nothing"),
        "interrupted": (known.load.counts["kills"] > 0, "nothing was killed"),
    }
    if record["outcome"] in ("PROMOTED", "UNCHANGED"):
        return None
    is_right, why_not = allowed.get(record.get("code", ""), (False, "nothing explains that"))
    return None if is_right else why_not


def of_end(known: Known, promotion_id: str, counts: Counter[str]) -> Iterator[str]:
    """Yield a promotion that was not announced once when it was accepted, and once when it had ended."""
    record, told = known.records.get(promotion_id), known.announced.get(promotion_id, ())
    waits = {each.detail["askedAt"] for each in told if each.detail_type == "Promotion Waiting"}
    ends = {
        (each.detail["outcome"], each.detail["endedAt"]): each
        for each in told
        if each.detail_type != "Promotion Waiting"
    }
    counts["announcements checked"] += len(told)
    counts["announced twice"] += len(told) - len(waits) - len(ends)
    if record is None:
        yield f"{promotion_id} was announced as {told}, and has no record"
        return
    if record["trigger"] == "scan" and waits:
        yield f"{promotion_id} is of an event, and was announced to wait"
    if len(waits) > 1:
        yield f"{promotion_id} was announced to wait {len(waits)} times: {waits}"
    if len([key for key in ends if key[0] != "FAILED"]) > 1 or not ends:
        yield f"{promotion_id} was announced to have ended {len(ends)} times: {ends}"
    elif (record["outcome"], record["endedAt"]) not in ends:
        yield f"{promotion_id} was announced as {ends.keys()}, its record is {record}"
    for each in ends.values():
        if each.detail.get("code") == "expired" and each.time + 1 < _seconds(each.detail["endedAt"]):
            yield f"{promotion_id} had expired before its time: {each}"
    accepted = {asked.accepted[1]["promotionId"] for asked in known.load.script.asked if asked.accepted}
    if promotion_id in accepted and len(waits) != 1:
        yield f"{promotion_id} was accepted, and announced to wait {len(waits)} times"


def of_builds(known: Known, counts: Counter[str]) -> Iterator[str]:
    """Yield a build that an event should have promoted once, and did not; and one that it should not have."""
    for build in known.load.script.builds:
        if not build.is_built:
            continue
        counts["promotions by events checked"] += 1
        puts = known.puts.get((build.repository, f"built-{build.number}"), ())
        if [put.push.image_digest for put in puts] != ([build.digest] if build.passed_at else []):
            yield f"{build.repository}:build-{build.number}, clean: {build.is_clean}, was put by {puts}"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
