"""What is looked at for a gate, and when a gate may pass: the shapes of indexes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from promoter.aws.ecr.scan_results import read
from promoter.domain.errors import Frozen, GateRefused, RegistryError, ScanPending, Throttled
from promoter.domain.gate import Gate
from promoter.domain.manifest import DOCKER_LIST, OCI_INDEX
from promoter.domain.model import (
    Finding,
    ImageId,
    Manifest,
    Outcome,
    Promoted,
    Promotion,
    Repository,
    Scan,
    Source,
    Trigger,
)
from promoter.promotion.evidence import gather
from tests.support.answers import promote
from tests.support.ledgers import InMemoryLedger, dependencies
from tests.support.policies import ACCOUNT, gate, policy, rule
from tests.support.registries import FailingImageFacts, InMemoryRegistry, KnownImageFacts, manifest

REPOSITORY = Repository(ACCOUNT, "team/web")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AMD, ARM, ODD = (manifest(json.dumps({"n": n})) for n in range(3))
ATTESTED = {"vnd.docker.reference.type": "attestation-manifest"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}


def entry(image: Manifest, platform: Any = None, **members: Any) -> dict[str, Any]:
    platform = platform or {"os": "linux", "architecture": "amd64"}
    return {"digest": image.digest, "mediaType": image.media_type, "platform": platform} | members


def index(*entries: dict[str, Any], media_type: str = OCI_INDEX) -> Manifest:
    return manifest(json.dumps({"schemaVersion": 2, "manifests": list(entries)}), media_type)


def looked_at(source: Manifest, *images: Manifest) -> list[str]:
    """Return the digests whose scans are asked for."""
    image_facts = KnownImageFacts(scans={image.digest: Scan("COMPLETE") for image in (AMD, ARM, ODD)})
    registry = InMemoryRegistry(untagged=list(images))
    gather(Gate({}), REPOSITORY, source, registry=registry, image_facts=image_facts)
    return sorted(image_facts.asked)


def digests(*images: Manifest) -> list[str]:
    return sorted(image.digest for image in images)


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_the_platforms_of_an_index_are_looked_at(media_type: str) -> None:
    """All of them, not the index, which no scanner scans."""
    assert looked_at(index(entry(AMD), entry(ARM), media_type=media_type)) == digests(AMD, ARM)


def test_an_image_is_looked_at_itself() -> None:
    """One manifest, one scan."""
    assert looked_at(AMD) == digests(AMD)


@pytest.mark.parametrize(
    ("child", "skipped"),
    [
        (entry(ODD, UNKNOWN, annotations=ATTESTED), True),
        (entry(ODD, UNKNOWN), False),
        (entry(ODD, annotations=ATTESTED), False),
        (entry(ODD, UNKNOWN | {"variant": "v8"}, annotations=ATTESTED), False),
        (entry(ODD, {}, annotations=ATTESTED), False),
    ],
)
def test_only_both_marks_make_an_attestation(child: dict[str, Any], *, skipped: bool) -> None:
    """One mark alone could hide an image from the gate."""
    assert looked_at(index(entry(AMD), child)) == digests(AMD, *(() if skipped else (ODD,)))


def test_indexes_in_indexes_are_looked_through() -> None:
    """And what is named twice is looked at once."""
    inner = index(entry(ARM), entry(AMD))

    assert looked_at(index(entry(AMD), entry(inner)), inner) == digests(AMD, ARM)


def test_indexes_in_indexes_end_somewhere() -> None:
    """Too deep to be real is refused."""
    innermost = index(entry(AMD))
    nested = [innermost]
    for _ in range(5):
        nested.append(index(entry(nested[-1])))

    with pytest.raises(GateRefused, match="deep"):
        looked_at(nested[-1], *nested)


def test_an_index_too_wide_is_refused() -> None:
    """A hundred images are more than any build makes."""
    with pytest.raises(GateRefused, match="more than 100"):
        looked_at(index(*(entry(manifest(str(n))) for n in range(101))))


def test_a_nested_index_that_is_missing_is_refused() -> None:
    """What cannot be read cannot be judged."""
    with pytest.raises(GateRefused, match="not in the repository"):
        looked_at(index(entry(index(entry(AMD)))))


@pytest.mark.parametrize("claimed", [OCI_INDEX, DOCKER_LIST])
def test_an_image_that_its_entry_calls_an_index_is_refused(claimed: str) -> None:
    """It would be pulled as the image that it is, and no scan of it was looked at."""
    with pytest.raises(GateRefused, match="is an image") as caught:
        looked_at(index(entry(AMD), entry(ARM, mediaType=claimed)), ARM)
    assert [reason.code for reason in caught.value.reasons] == ["unreadable_index"]


def test_an_index_that_reads_in_two_ways_is_refused() -> None:
    """Also one in an index; the gate judges what others pull, or nothing."""
    shadowed = manifest(json.dumps({"manifests": [entry(AMD)], "Manifests": [entry(ARM)]}), OCI_INDEX)

    for source in (shadowed, index(entry(AMD), entry(shadowed))):
        with pytest.raises(GateRefused, match="manifests") as caught:
            looked_at(source, shadowed)
        assert [reason.code for reason in caught.value.reasons] == ["unreadable_index"]


@pytest.mark.parametrize(
    "digest",
    ["sha256:" + "a" * 300_000, "sha256:" + "A" * 64, "sha512:" + "a" * 64, "a", ""],
    ids=["endless", "upper case", "sha512", "text", "empty"],
)
def test_an_index_that_names_an_image_by_no_digest_is_refused(digest: str) -> None:
    """Amazon ECR has sha256 digests only; what else stands there is cut."""
    with pytest.raises(GateRefused, match="sha256") as caught:
        looked_at(index(entry(AMD), entry(ARM, digest=digest)))
    assert [reason.code for reason in caught.value.reasons] == ["unreadable_index"]
    assert len(caught.value.reasons[0].sentence) < 300


@pytest.mark.parametrize("depth", [1, 100_000])
def test_an_index_that_is_no_json_is_refused(depth: int) -> None:
    """Cut off, or too deep for any parser."""
    with pytest.raises(GateRefused) as caught:
        looked_at(manifest('{"manifests": ' + "[" * depth, OCI_INDEX))
    assert [reason.code for reason in caught.value.reasons] == ["unreadable_index"]


def holding(source: Manifest) -> InMemoryRegistry:
    return InMemoryRegistry({"build-1": source})


def attempt(
    registry: InMemoryRegistry, image_facts: KnownImageFacts, asked: dict[str, Any], **members: Any
) -> Promoted:
    """Promote build-1 under a rule with this gate."""
    promotion = Promotion("p", Trigger.REQUEST, REPOSITORY, Source(ImageId("build-1")))
    rules = policy(rule(gate=asked), **members)
    return promote(promotion, dependencies(rules, registry, image_facts, now=lambda: NOW))


def test_what_passes_is_promoted() -> None:
    """Scanned, within limits, signed and ripe."""
    image_facts = KnownImageFacts(
        scans={AMD.digest: Scan("COMPLETE")}, signatures={AMD.digest}, pushes={AMD.digest: NOW - timedelta(days=2)}
    )

    answer = attempt(holding(AMD), image_facts, gate(findings={"CRITICAL": 0}, signed=True, soak=86400))

    assert answer.outcome is Outcome.PROMOTED


@pytest.mark.parametrize(
    "source",
    [
        AMD,
        index(entry(AMD)),
        index(entry(ARM), entry(AMD)),
        index(entry(AMD), entry(ODD, UNKNOWN, annotations=ATTESTED)),
    ],
)
def test_a_bad_platform_refuses_and_nothing_is_put(source: Manifest) -> None:
    """In whatever shape it comes."""
    bad = Scan("COMPLETE", (Finding("CVE-1", "CRITICAL", ("p",)),))
    image_facts = KnownImageFacts(scans={AMD.digest: bad, ARM.digest: Scan("COMPLETE")})

    registry = holding(source)
    with pytest.raises(GateRefused, match="CVE-1"):
        attempt(registry, image_facts, gate(findings={"CRITICAL": 0}))
    assert registry.puts == []


@pytest.mark.parametrize("source", [index(), index(entry(ODD, UNKNOWN, annotations=ATTESTED))])
def test_an_index_with_nothing_to_scan_is_refused(source: Manifest) -> None:
    """Empty, or attestations only."""
    with pytest.raises(GateRefused, match="no image"):
        attempt(holding(source), KnownImageFacts(), gate(findings={}))


def test_what_is_still_being_scanned_is_not_yet() -> None:
    """Retryable, and says which platforms are awaited."""
    image_facts = KnownImageFacts(scans={AMD.digest: Scan("PENDING"), ARM.digest: Scan("ACTIVE")})

    with pytest.raises(ScanPending) as caught:
        attempt(holding(index(entry(AMD), entry(ARM))), image_facts, gate(findings={}))
    assert [reason.image_digest for reason in caught.value.reasons] == [AMD.digest]
    assert caught.value.retryable


def test_a_promotion_that_came_before_the_scans_end_passes_after_it() -> None:
    """ECR calls a scan complete before it is (aws/aws-sdk#289): not yet, and nothing of it is remembered."""
    unfinished = {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {"findings": []}}
    finished = unfinished | {"imageScanFindings": {"findings": [], "imageScanCompletedAt": 1795435200}}
    registry, image_facts = holding(AMD), KnownImageFacts(scans={AMD.digest: read(unfinished)})

    with pytest.raises(ScanPending):
        attempt(registry, image_facts, gate(findings={"CRITICAL": 0}))
    image_facts.scans[AMD.digest] = read(finished)

    assert attempt(registry, image_facts, gate(findings={"CRITICAL": 0})).outcome is Outcome.PROMOTED


def unscanned(*sources: Manifest, pushes: dict[str, datetime]) -> list[str]:
    """Return why an index of these is refused, none of which has a scan."""
    image_facts = KnownImageFacts(pushes=pushes)
    asked = Gate({}).judge(
        gather(
            Gate({}),
            REPOSITORY,
            index(*(entry(source) for source in sources)),
            registry=InMemoryRegistry(),
            image_facts=image_facts,
        ),
        now=NOW,
    )
    return [reason.code for reason in asked]


def test_every_image_waits_for_its_scan_from_its_own_push_on() -> None:
    """The index itself need not be in the repository yet; a platform that is not there will not be scanned."""
    minute, day = NOW - timedelta(minutes=1), NOW - timedelta(days=1)

    assert unscanned(AMD, ARM, pushes={AMD.digest: minute, ARM.digest: minute}) == ["scan_pending"] * 2
    assert unscanned(AMD, ARM, pushes={AMD.digest: minute, ARM.digest: day}) == ["scan_pending", "not_scanned"]
    assert "not_scanned" in unscanned(AMD, ARM, pushes={AMD.digest: minute})


@pytest.mark.parametrize(("soak", "reached", "asked"), [(1, None, True), (1, NOW, False), (0, None, False)])
def test_the_age_of_the_source_is_asked_only_to_soak(soak: int, reached: datetime | None, *, asked: bool) -> None:
    """Where the ledger does not know since when the image is here."""
    evidence = gather(
        Gate(soak=timedelta(hours=soak)),
        REPOSITORY,
        AMD,
        registry=InMemoryRegistry(),
        image_facts=KnownImageFacts(pushes={AMD.digest: NOW}),
        reached_at=reached,
    )

    assert (evidence.pushed_at, evidence.reached_at) == (NOW if asked else None, reached)


def test_a_finding_outweighs_a_scan_that_is_awaited() -> None:
    """No need to wait for what cannot help any more; both reasons are told."""
    bad = Scan("ACTIVE", (Finding("CVE-1", "CRITICAL", ("p",)), Finding("CVE-2", "CRITICAL", ("p",))))
    image_facts = KnownImageFacts(scans={AMD.digest: bad, ARM.digest: Scan("PENDING")})

    with pytest.raises(GateRefused, match=r"CVE-1.* and 1 more") as caught:
        attempt(holding(index(entry(AMD), entry(ARM))), image_facts, gate(findings={"CRITICAL": 0}))
    assert [reason.code for reason in caught.value.reasons] == ["finding", "finding", "scan_pending"]


@pytest.mark.parametrize("failure", [Throttled("slow"), RegistryError("AccessDenied")])
def test_findings_that_cannot_be_had_promote_nothing(failure: Any) -> None:
    """Throttled or denied: the failure is told as it is."""
    registry = holding(index(entry(AMD), entry(ARM)))
    with pytest.raises(type(failure)):
        attempt(registry, FailingImageFacts(failure=failure), gate(findings={}))
    assert registry.puts == []


def test_a_gate_asks_only_for_what_it_needs() -> None:
    """No scan is asked for where only a signature is."""
    image_facts = KnownImageFacts(signatures={AMD.digest})

    assert attempt(holding(AMD), image_facts, gate(signed=True)).outcome is Outcome.PROMOTED
    assert image_facts.asked == []


def test_a_scan_that_is_too_old_is_the_last_word_until_there_is_a_new_one() -> None:
    """Also for an event, which would wait for nothing; the event of the next scan is another promotion."""
    old, new = (Scan("COMPLETE", completed_at=NOW - timedelta(days=days)) for days in (8, 1))
    asked = gate(findings={}, max_scan_age=timedelta(days=7).total_seconds())
    rules = policy(rule(name="staging", on="scan", to=["staging"], gate=asked, **{"from": "build-.*"}))
    image_facts, ledger = KnownImageFacts(scans={AMD.digest: old}), InMemoryLedger(lambda: NOW)
    scan = Promotion("first", Trigger.SCAN, REPOSITORY, Source(ImageId("build-1", AMD.digest)))
    everything = dependencies(rules, holding(AMD), image_facts, ledger=ledger, now=lambda: NOW)

    with pytest.raises(GateRefused) as caught:
        promote(scan, everything)
    assert [reason.code for reason in caught.value.reasons] == ["scan_too_old"]
    assert ledger.outcomes() == [Outcome.REFUSED]

    image_facts.scans[AMD.digest] = new
    assert promote(replace(scan, promotion_id="second"), everything).outcome is Outcome.PROMOTED


@pytest.mark.parametrize(("signer", "passes"), [("arn:release", True), ("arn:other", False), (None, False)])
def test_named_profiles_have_to_sign(signer: str | None, *, passes: bool) -> None:
    """A signature by whomever is not enough then."""
    image_facts = KnownImageFacts(signatures={AMD.digest}, profiles={AMD.digest: {signer} if signer else set()})
    asked = gate(signed=True, signing_profiles=["arn:release"])

    if passes:
        assert attempt(holding(AMD), image_facts, asked).outcome is Outcome.PROMOTED
        return
    with pytest.raises(GateRefused, match="arn:release"):
        attempt(holding(AMD), image_facts, asked)


FREEZE = {"from": NOW.timestamp() - 60, "to": NOW.timestamp() + 60, "reason": "holidays", "rules": None}


@pytest.mark.parametrize(
    ("change", "frozen"),
    [
        ({}, True),
        ({"rules": ["prod-by-pipeline"]}, True),
        ({"rules": ["another"]}, False),
        ({"repositories": ["team/*"]}, True),
        ({"repositories": ["others/*"]}, False),
        ({"to": NOW.timestamp()}, False),
        ({"from": NOW.timestamp()}, True),
        ({"from": NOW.timestamp() + 1}, False),
    ],
)
def test_a_freeze_stops_its_rules_for_its_time(change: dict[str, Any], *, frozen: bool) -> None:
    """From its start to its end, which is not in it; the reason says why and until when."""
    freeze = [FREEZE | {"repositories": None} | change]
    registry = holding(AMD)
    if not frozen:
        assert attempt(registry, KnownImageFacts(), gate(), freeze=freeze).outcome is Outcome.PROMOTED
        return
    with pytest.raises(Frozen, match="holidays"):
        attempt(registry, KnownImageFacts(), gate(), freeze=freeze)
    assert registry.puts == []
