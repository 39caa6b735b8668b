"""Gathers what a gate judges: the scan of every platform, signatures, the image's age; and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from promoter.domain.errors import GateRefused, RegistryError, SourceNotFound
from promoter.domain.findings import Evidence, Subject
from promoter.domain.gate import Gate
from promoter.domain.manifest import INDEXES, Child, children, is_stored, read_strictly
from promoter.domain.model import ImageId, Manifest, Reason, Repository, Unreadable
from promoter.domain.ports import Found, ImageFacts, Missing, Registry

MAX_DEPTH = 4  # of indexes in indexes; real ones have one or two
MAX_IMAGES = 100  # of an index; as many as one BatchGetImage can name
SCANS_AT_ONCE = 8  # DescribeImageScanFindings calls; AWS publishes no quota for it


def gather(
    gate: Gate,
    repository: Repository,
    manifest: Manifest,
    *,
    registry: Registry,
    image_facts: ImageFacts,
    reached_at: datetime | None = None,
) -> Evidence:
    """Return the evidence; `reached_at` comes from the ledger. Raises GateRefused for what reads in two ways."""
    subjects = None
    if gate.findings is not None:
        images = platforms(repository, manifest, registry=registry)
        subjects = with_ages(
            repository, scans(repository, images, image_facts=image_facts), image_facts=image_facts
        )
    soaks = gate.soak and reached_at is None
    return Evidence(
        subjects=subjects,
        signed=image_facts.signed(repository, manifest.digest, gate.signing_profiles) if gate.signed else None,
        pushed_at=image_facts.pushed(repository, [manifest.digest]).get(manifest.digest) if soaks else None,
        reached_at=reached_at,
    )


def platforms(repository: Repository, manifest: Manifest, *, registry: Registry) -> tuple[Child, ...]:
    """Return the images that a scanner would look at: the manifest itself, or every platform of an index.

    An index that its parent calls an image stays in: no scanner looks at one, so it is refused.
    """
    if manifest.media_type not in INDEXES:
        require_one_reading(manifest)
        return (Child(manifest.digest, "image"),)
    images: dict[str, Child] = {}
    seen, level = {manifest.digest}, [manifest]
    for _ in range(MAX_DEPTH):
        entries = [child for index in level for child in entries_of(index) if not child.is_attestation]
        images |= {child.digest: child for child in entries if not child.is_index}
        nested = {child.digest for child in entries if child.is_index} - seen
        seen |= nested
        if len(images) + len(seen) > MAX_IMAGES:
            raise refused(f"the index has more than {MAX_IMAGES} images")
        if not nested:
            return tuple(images.values())
        found = registry.read(repository, [ImageId(image_digest=digest) for digest in sorted(nested)])
        level = [nested_index(answer, image_id) for image_id, answer in found.items()]
    raise refused(f"the index has indexes in indexes, more than {MAX_DEPTH} deep")


def require_one_reading(image: Manifest) -> None:
    """Raise GateRefused for an image that clients may read in another way than its scanner did.

    Of an index only the digests of its images are known: their manifests would take a call of their own.
    """
    try:
        document = read_strictly(image.body)
    except ValueError as error:
        raise refused(f"{image.digest} cannot be judged: {error}", code="unreadable_image") from error
    if isinstance(document, dict) and "manifests" in map(str.casefold, document):  # CVE-2021-41190
        raise refused(f"{image.digest} has manifests, as an index has", code="unreadable_image")


def entries_of(index: Manifest) -> tuple[Child, ...]:
    """Return what an index names. Refuses one that cannot be read, or that reads in two ways."""
    try:
        entries = children(index.body)
    except ValueError as error:
        raise refused(f"{index.digest} cannot be read: {error}") from error
    if not all(is_stored(entry.digest) for entry in entries):
        raise refused(f"{index.digest} names an image by something that is not a sha256 digest")
    return entries


def nested_index(answer: Found, image_id: ImageId) -> Manifest:
    """Return a nested index. Refuses one that is missing or is an image, which would need a scan."""
    if isinstance(answer, Unreadable):
        raise RegistryError(f"The index names {image_id}, which cannot be read: {answer.reason}.")
    if isinstance(answer, Missing):
        raise refused(f"the index names {image_id}, which is not in the repository")
    if answer.media_type not in INDEXES:
        raise refused(f"the index names {image_id} as an index, but it is an image")
    return answer


def scans(repository: Repository, images: tuple[Child, ...], *, image_facts: ImageFacts) -> tuple[Subject, ...]:
    """Ask for the scan of each image, several at once."""

    def subject(child: Child) -> Subject:
        return Subject(child.digest, child.platform, image_facts.scan(repository, child.digest))

    if len(images) < 2:
        return tuple(subject(child) for child in images)
    from concurrent.futures import ThreadPoolExecutor  # loaded for indexes only

    with ThreadPoolExecutor(SCANS_AT_ONCE) as pool:
        return tuple(pool.map(subject, images))


def with_ages(
    repository: Repository, subjects: tuple[Subject, ...], *, image_facts: ImageFacts
) -> tuple[Subject, ...]:
    """Add to each image without a scan when it was pushed; one call for all of them."""
    unscanned = [subject.image_digest for subject in subjects if subject.scan.status is None]
    try:
        pushed = image_facts.pushed(repository, unscanned) if unscanned else {}
    except SourceNotFound:
        pushed = {}  # the image that is missing refuses the promotion, whatever the age of the others
    return tuple(replace(subject, pushed_at=pushed.get(subject.image_digest)) for subject in subjects)


def refused(sentence: str, code: str = "unreadable_index") -> GateRefused:
    """Return the refusal of an index that cannot be read, or of an image that reads in two ways."""
    return GateRefused(sentence, reasons=(Reason(code, sentence),))
