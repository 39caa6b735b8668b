"""How the cost of a promotion grows with what it might depend on, beside the two bare calls."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from bench.lab import Lab, Samples, interleaved
from local import pusher
from promoter.aws.dynamodb import items, keys
from promoter.domain import documents
from promoter.domain.manifest import MEDIA_TYPES, OCI_MANIFEST
from promoter.domain.model import (
    ImageId,
    Manifest,
    Outcome,
    Promoted,
    Promotion,
    Record,
    Repository,
    Source,
    TagMove,
    Trigger,
)
from promoter.domain.policy import Policy
from promoter.entrypoints import image_events
from promoter.promotion.dependencies import Dependencies
from tests.support.answers import promote

BARE, PROMOTE = "boto3, the same calls", "promote, ledger"
ROUNDS = 30
EVENTS, CALLERS = (1, 10, 100, 1_000), (1, 4, 16, 64)
TAGS, RECORDS, RULES = (10, 1_000, 10_000, 100_000), (10, 1_000, 10_000, 100_000), (1, 10, 100, 1_000)
TAGS_OF_AN_IMAGE = 1_000  # Amazon ECR service quotas
KEPT = timedelta(days=400)
FLAT = 1.5
"""What costs at its largest size at most so many times what it costs at its smallest does not grow with it."""


@dataclass
class Mover:
    """A repository in which a tag goes to and fro between two images: every round has something to do."""

    TAG: ClassVar[str] = "moving"

    lab: Lab
    repository: str
    turns: Iterator[int] = field(default_factory=itertools.count)

    def source(self) -> str:
        """Return the tag of the image whose turn it is."""
        return f"source-{next(self.turns) % 2}"

    def bare(self) -> Callable[[int], object]:
        """Make the two calls, and nothing else."""
        ecr = self.lab.client("ecr")

        def calls(_: int) -> None:
            source = self.source()
            answer = ecr.batch_get_image(
                repositoryName=self.repository,
                imageIds=[{"imageTag": source}, {"imageTag": self.TAG}],
                acceptedMediaTypes=list(MEDIA_TYPES),
            )
            image = next(image for image in answer["images"] if image["imageId"]["imageTag"] == source)
            ecr.put_image(
                repositoryName=self.repository,
                imageManifest=image["imageManifest"],
                imageManifestMediaType=image["imageManifestMediaType"],
                imageDigest=image["imageId"]["imageDigest"],
                imageTag=self.TAG,
            )

        return calls

    def promoted(self, dependencies: Dependencies) -> Callable[[int], object]:
        """Carry out the use case, as it runs inside the function."""

        def promote_once(_: int) -> object:
            promotion = Promotion(
                promotion_id=uuid.uuid4().hex,
                trigger=Trigger.REQUEST,
                repository=Repository(self.lab.aws.account_id, self.repository),
                source=Source(ImageId(self.source())),
                image_tags=(self.TAG,),
            )
            return promote(promotion, dependencies)

        return promote_once


@dataclass(frozen=True)
class Curve:
    """What a promotion costs at each size, in milliseconds, and the two bare calls at the same time."""

    name: str
    unit: str
    promotion: Mapping[int, Samples]
    bare: Mapping[int, Samples]

    def ratio(self, size: int) -> float:
        """Return how many times as long a promotion takes as the bare calls."""
        return self.promotion[size].median / self.bare[size].median

    @property
    def growth(self) -> float:
        """Return how many times as much a promotion costs at the largest size as at the smallest."""
        sizes = list(self.promotion)
        return self.promotion[sizes[-1]].median / self.promotion[sizes[0]].median

    @property
    def is_flat(self) -> bool:
        """Say whether the size does not matter; what the server itself does more slowly is no matter of ours."""
        sizes = list(self.promotion)
        return self.growth <= FLAT or self.ratio(sizes[-1]) <= FLAT * self.ratio(sizes[0])


def measure(lab: Lab, *, tell: Callable[[str], None]) -> list[Curve]:
    """Measure every curve, each on repositories of its own."""
    curves = []
    for measured in (of_events, of_callers, of_tags, of_records, of_rules):
        tell(f"   {(measured.__doc__ or '').split('.')[0]}")
        curves.append(measured(lab, tell))
    return curves


def of_events(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Events, one after the other: how many."""
    dependencies = lab.dependencies(scanning(lab))
    promotion, bare = {}, {}
    for size in EVENTS:
        mover = prepared(lab)
        ways = {PROMOTE: repeated(scans(mover, dependencies), size), BARE: repeated(mover.bare(), size)}
        taken = interleaved(ways, rounds=max(2, ROUNDS // size), warm_up=0 if size > 100 else 1, tell=tell)
        promotion[size], bare[size] = (each(taken[way], size) for way in (PROMOTE, BARE))
    return Curve("Events", "events in a row", promotion, bare)


def of_callers(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Callers at the same time: how many."""
    promotion, bare = {}, {}
    for size in CALLERS:
        movers = [prepared(lab) for _ in range(size)]
        ask = [mover.promoted(lab.dependencies(lab.policy())) for mover in movers]
        calls = [mover.bare() for mover in movers]
        with ThreadPoolExecutor(size) as pool:
            ways = {PROMOTE: together(pool, ask), BARE: together(pool, calls)}
            taken = interleaved(ways, rounds=max(4, ROUNDS // size), tell=tell)
        promotion[size], bare[size] = (each(taken[way], size) for way in (PROMOTE, BARE))
    return Curve("Callers", "callers at once, each with a tag of its own", promotion, bare)


def of_tags(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Tags in the repository: how many."""
    return compared(lab, "Repositories", "tags in the repository", TAGS, fill_repository, tell)


def of_records(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Promotions in the tag's history: how many."""
    return compared(lab, "Histories", "records of the repository and tag", RECORDS, fill_history, tell)


def of_rules(lab: Lab, tell: Callable[[str], None]) -> Curve:
    """Rules in the policy: how many."""
    promotion, bare = {}, {}
    for size in RULES:
        mover = prepared(lab)
        others = [{"name": f"rule-{n}", "repositories": [f"other-{n}/*"]} for n in range(size - 1)]
        dependencies = lab.dependencies(lab.policy(*others, {"name": "last"}))
        ways = {PROMOTE: mover.promoted(dependencies), BARE: mover.bare()}
        taken = interleaved(ways, rounds=ROUNDS, tell=tell)
        promotion[size], bare[size] = taken[PROMOTE], taken[BARE]
    return Curve("Policies", "rules, of which the last serves", promotion, bare)


def compared(
    lab: Lab,
    name: str,
    unit: str,
    sizes: Sequence[int],
    fill: Callable[[Mover, int], None],
    tell: Callable[[str], None],
) -> Curve:
    """Measure repositories that were filled to each size; all sizes take turns."""
    ways: dict[str, Callable[[int], object]] = {}
    for size in sizes:
        tell(f"   {size:,} {unit}")
        mover = prepared(lab)
        fill(mover, size)
        ways[f"{PROMOTE} {size}"] = mover.promoted(lab.dependencies(lab.policy()))
        ways[f"{BARE} {size}"] = mover.bare()
    taken = interleaved(ways, rounds=ROUNDS, tell=tell)
    return Curve(
        name,
        unit,
        {size: taken[f"{PROMOTE} {size}"] for size in sizes},
        {size: taken[f"{BARE} {size}"] for size in sizes},
    )


def prepared(lab: Lab) -> Mover:
    """Push two images into a repository of its own."""
    repository = f"bench/{uuid.uuid4().hex[:8]}"
    lab.client("ecr").create_repository(repositoryName=repository)
    for number in range(2):
        pusher.push_image(lab.aws.registry, repository, f"source-{number}", seed=f"{repository}-{number}")
    return Mover(lab, repository)


def repeated(way: Callable[[int], object], times: int) -> Callable[[int], object]:
    """Do something so many times in a row."""

    def run(number: int) -> None:
        for turn in range(times):
            way(number * times + turn)

    return run


def together(pool: ThreadPoolExecutor, ways: Sequence[Callable[[int], object]]) -> Callable[[int], object]:
    """Do all things at the same time."""

    def run(number: int) -> None:
        list(pool.map(lambda way: way(number), ways))

    return run


def each(samples: Samples, size: int) -> Samples:
    """Return the time of one of so many."""
    return Samples(samples.name, [taken / size for taken in samples.milliseconds])


def scanning(lab: Lab) -> Policy:
    """Return a policy that promotes what was scanned."""
    gate = {
        "findings": {},
        "fixable_only": False,
        "max_scan_age": None,
        "signing_profiles": [],
        "min_age": 0,
        "ignore": [],
        "signed": False,
        "soak": 0,
    }
    rule = {"on": "scan", "from": "build-(?P<n>.*)", "to": ["staging-{n}"], "to_matching": [], "gate": gate}
    return lab.policy(rule)


def scans(mover: Mover, dependencies: Dependencies) -> Callable[[int], object]:
    """Carry out what a finished scan asks for, of a source tag that is new each time."""
    place = Repository(mover.lab.aws.account_id, mover.repository)
    waiting: list[tuple[str, str]] = []

    def event(_: int) -> None:
        if not waiting:
            waiting.extend(scanned(mover))
        digest, tag = waiting.pop()
        came = image_events.ImageEvent(uuid.uuid4().hex, place, digest, (tag,), datetime.now(UTC), is_scan=True)
        for promotion in image_events.promotions(came, dependencies.policy):  # type: ignore[union-attr]  # the rule serves every build
            promote(promotion, dependencies)

    return event


def scanned(mover: Mover) -> list[tuple[str, str]]:
    """Push an image with as many tags as leave room for those that are promoted, and finish its scan."""
    tags = [f"build-{uuid.uuid4().hex[:12]}" for _ in range(TAGS_OF_AN_IMAGE // 2 - 1)]
    image = pusher.push_image(mover.lab.aws.registry, mover.repository, tags[0], seed=tags[0])
    tagged(mover, image.manifest, tags)
    scan = {
        "repositoryName": mover.repository,
        "imageDigest": image.digest,
        "scanner": "basic",
        "status": "COMPLETE",
    }
    mover.lab.local("scans", scan | {"findings": [], "announce": False})
    return [(image.digest, tag) for tag in tags]


def tagged(mover: Mover, manifest: bytes, tags: Sequence[str]) -> None:
    """Put many tags on an image at once."""
    stored = {
        "repositoryName": mover.repository,
        "manifestBase64": base64.b64encode(manifest).decode(),
        "imageManifestMediaType": OCI_MANIFEST,
        "imageTags": list(tags),
    }
    mover.lab.local("images", stored)


def fill_repository(mover: Mover, size: int) -> None:
    """Put so many tags into the repository, as many on an image as ECR allows."""
    for start in range(0, size, TAGS_OF_AN_IMAGE):
        image = pusher.push_image(mover.lab.aws.registry, mover.repository, f"t-{start}", seed=f"{size}-{start}")
        tagged(mover, image.manifest, [f"t-{n}" for n in range(start, min(start + TAGS_OF_AN_IMAGE, size))])


def fill_history(mover: Mover, size: int) -> None:
    """Write so many records into the history of the tag that moves, and of its repository."""
    client, table = mover.lab.client("dynamodb"), mover.lab.table()
    place, began = Repository(mover.lab.aws.account_id, mover.repository), datetime.now(UTC) - timedelta(days=300)
    written = [
        item
        for number in range(size)
        for item in items_of(past(place, began + timedelta(seconds=number)), table.region)
    ]
    puts: list[Any] = [{"PutRequest": {"Item": item}} for item in written]
    for start in range(0, len(puts), 25):
        client.batch_write_item(RequestItems={table.name: puts[start : start + 25]})


def past(place: Repository, at: datetime) -> Record:
    """Return the record of a promotion that ended then."""
    digest = f"sha256:{uuid.uuid4().hex * 2}"
    opened = Record(uuid.uuid4().hex, Trigger.REQUEST, place, ImageId("source"), at, rule="bench")
    move = TagMove(Mover.TAG, Outcome.PROMOTED, digest)
    answer = Promoted(opened.promotion_id, "bench", place, Manifest(b"", OCI_MANIFEST, digest), (move,))
    return documents.ended(opened, answer, now=at)


def items_of(record: Record, region: str) -> list[dict[str, Any]]:
    """Return a record's item and the row of its tag's history, as the ledger writes them."""
    listing = {"listing": {"S": keys.place(region, record.repository)}}
    ended = items.record_item(record, region) | items.end_of(record, KEPT) | listing
    return [ended, *items.history_rows(record, region, KEPT)]
