"""Gathers what a gate judges: the scan of every platform, signatures, the image's age. Asks for nothing else."""

from __future__ import annotations

from promoter.errors import GateRefused
from promoter.gate import Gate
from promoter.manifest import INDEXES, Child, children
from promoter.model import Evidence, ImageId, Manifest, Reason, Repository, Subject
from promoter.ports import Findings, Missing, Registry

MAX_DEPTH = 4  # of indexes in indexes; real ones have one or two
MAX_IMAGES = 100  # of an index; as many as one BatchGetImage can name
AT_ONCE = 8  # DescribeImageScanFindings calls; AWS publishes no quota for it


def gather(
    gate: Gate, repository: Repository, manifest: Manifest, *, registry: Registry, findings: Findings
) -> Evidence:
    """Return the evidence. Raises GateRefused for an index that cannot be looked through."""
    subjects = None
    if gate.findings is not None:
        images = platforms(repository, manifest, registry=registry)
        subjects = scans(repository, images, findings=findings)
    unscanned = any(subject.scan.status is None for subject in subjects or ())
    return Evidence(
        subjects=subjects,
        signed=findings.signed(repository, manifest.digest) if gate.signed else None,
        pushed_at=findings.pushed_at(repository, manifest.digest) if gate.soak or unscanned else None,
    )


def platforms(repository: Repository, manifest: Manifest, *, registry: Registry) -> tuple[Child, ...]:
    """Return the images that a scanner would look at: the manifest itself, or every platform of an index.

    An index that its parent calls an image stays in: no scanner looks at one, so it is refused.
    """
    if manifest.media_type not in INDEXES:
        return (Child(manifest.digest, "image"),)
    images: dict[str, Child] = {}
    seen, level = {manifest.digest}, [manifest]
    for _ in range(MAX_DEPTH):
        entries = [child for index in level for child in children(index.body) if not child.is_attestation]
        images |= {child.digest: child for child in entries if not child.is_index}
        nested = {child.digest for child in entries if child.is_index} - seen
        seen |= nested
        if len(images) + len(seen) > MAX_IMAGES:
            raise refused(f"the index has more than {MAX_IMAGES} images")
        if not nested:
            return tuple(images.values())
        found = registry.read(repository, [ImageId(image_digest=digest) for digest in sorted(nested)])
        level = [present(answer, image_id) for image_id, answer in found.items()]
    raise refused(f"the index has indexes in indexes, more than {MAX_DEPTH} deep")


def present(answer: Manifest | Missing, image_id: ImageId) -> Manifest:
    """Return a nested index that is there; what is not there cannot be judged."""
    if isinstance(answer, Missing):
        raise refused(f"the index names {image_id}, which is not in the repository")
    return answer


def scans(repository: Repository, images: tuple[Child, ...], *, findings: Findings) -> tuple[Subject, ...]:
    """Ask for the scan of each image, several at once."""

    def subject(child: Child) -> Subject:
        return Subject(child.digest, child.platform, findings.scan(repository, child.digest))

    if len(images) < 2:
        return tuple(subject(child) for child in images)
    from concurrent.futures import ThreadPoolExecutor  # an index pays for it, an image does not

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(pool.map(subject, images))


def refused(sentence: str) -> GateRefused:
    """Return the refusal of an index that cannot be looked through."""
    return GateRefused(sentence, reasons=(Reason("unreadable_index", sentence),))
