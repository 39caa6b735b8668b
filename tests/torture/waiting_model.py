"""What must hold of promotions that wait, judged by what the registry and the announcements told.

The witness has every push of a tag with its time. The script has what was asked, and when each scan ended. The
ledger is only asked which promotion says that it made a push.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tests.torture.consistency import Record
from tests.torture.waiting_known import Known, Place, Put
from tests.torture.waiting_script import SOAK, Asked

CLOCK = 0.01  # seconds; the witness cuts its times to milliseconds
LATE = 45.0
"""Seconds after `waitsUntil` until which a tag may still be put: a try that began before it, and its lease."""
SHORT = 60.0  # seconds; a request that may wait longer does not expire in a run
BESIDE = 15.0
"""Seconds in which a push beside the service may be overwritten: Amazon ECR has no compare-and-swap."""


def broken_promises(known: Known) -> Iterator[str]:
    """Yield every broken promise of a run."""
    yield from known.disagreements
    for place in known.puts:
        yield from early(known, place)
    for asked in known.load.script.asked:
        yield from of_request(known, asked)
    for promotion_id in known.records.keys() | known.announced.keys():
        yield from of_end(known, promotion_id)
    yield from of_builds(known)


def early(known: Known, place: Place) -> Iterator[str]:
    """Yield every push before its time: a scan, soak time or a freeze had not ended; or of what is not clean."""
    repository, tag = place
    for put in known.puts[place]:
        push, build = put.push, known.load.script.of(repository, put.push.image_digest)
        if tag.startswith(("gated-", "built-")):
            known.counts["scans before pushes checked"] += 1
            if build.passed_at is None or push.time + CLOCK < build.passed_at:
                yield f"{push} was early: the scans passed at {build.passed_at}, clean: {build.is_clean}"
        if tag.startswith("soaked-"):
            first = min(each.time for each in known.pushes_of(repository, push.image_digest))
            if push.time + 1 < first + SOAK:
                yield f"{push} was early: the image is there since {first}"
        if "-ice-" in repository and push.time + CLOCK < (known.load.thawed_at or push.time + 1):
            yield f"{push} was early: the freeze was lifted at {known.load.thawed_at}"


def of_request(known: Known, asked: Asked) -> Iterator[str]:
    """Yield what is wrong with a request that was accepted to wait."""
    known.counts["requests"] += 1
    for _, answer in asked.answers:
        if answer.document.get("code") == "internal_error":
            yield f"{asked.body}: {answer.document}"
    if asked.accepted is None:
        return
    known.counts["accepted to wait"] += 1
    at, accepted = asked.accepted
    record = known.records.get(accepted["promotionId"])
    if record is None:
        yield f"{accepted} has no record of its end"
        return
    known.counts[f"ended {record.get('code') or record['outcome']}"] += 1
    if objection := unjustified(known, asked, record):
        yield f"{objection}, but {record}"
    yield from _same_digest(known, asked, record)
    until = datetime.fromisoformat(accepted["waitsUntil"]).timestamp()
    for put in known.puts_of(record["promotionId"]):
        yield from _over_newer(known, put, at, accepted)
        if record.get("code") in ("cancelled", "expired") or put.push.time > until + LATE:
            yield f"{put} of a promotion that ended: {record}"
    ends = {each["promotionId"] for _, answer in asked.answers if (each := answer.document).get("promotionId")}
    if asked.key and len(ends) > 1:
        yield f"the key {asked.key} stands for {ends}"


def _same_digest(known: Known, asked: Asked, record: Record) -> Iterator[str]:
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
        known.counts["digests checked"] += 1
        if put.push.image_digest != digest:
            yield f"accepted was {digest}, but {put}"


def _over_newer(known: Known, put: Put, at: float, accepted: Mapping[str, Any]) -> Iterator[str]:
    """Yield a push over a tag that had moved after the promotion was accepted."""
    seen = {image["imageTag"]: image["previousDigest"] for image in accepted["images"]}
    known.counts["pushes after a wait checked"] += 1
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


def of_end(known: Known, promotion_id: str) -> Iterator[str]:
    """Yield a promotion that was not announced once when it was accepted, and once when it had ended."""
    record, told = known.records.get(promotion_id), known.announced.get(promotion_id, ())
    waits = {each.detail["askedAt"] for each in told if each.detail_type == "Promotion Waiting"}
    ends = {
        (each.detail["outcome"], each.detail["endedAt"]): each
        for each in told
        if each.detail_type != "Promotion Waiting"
    }
    known.counts["announcements checked"] += len(told)
    known.counts["announced twice"] += len(told) - len(waits) - len(ends)
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


def of_builds(known: Known) -> Iterator[str]:
    """Yield a build that an event should have promoted once, and did not; and one that it should not have."""
    for build in known.load.script.builds:
        if not build.is_built:
            continue
        known.counts["promotions by events checked"] += 1
        puts = known.puts.get((build.repository, f"built-{build.number}"), ())
        if [put.push.image_digest for put in puts] != ([build.digest] if build.passed_at else []):
            yield f"{build.repository}:build-{build.number}, clean: {build.is_clean}, was put by {puts}"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
