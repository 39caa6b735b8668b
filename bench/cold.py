"""Cold starts: from a fresh interpreter, with the asset and the SDK in its path, to the first promotion."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.lab import Lab, Samples, interleaved
from local import pusher

ROUNDS = 15
SDK = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "python-dateutil", "six")
END = "\nimport os; os._exit(0)"  # Lambda keeps the process, so a start does not include its shutdown
BARE, EVENT, HTTP = "import boto3, client, two calls", "EventBridge", "HTTP"
START = "import sys; sys.path[:] = {paths!r} + [path for path in sys.path if 'site-packages' not in path]\n"
BASELINE = """
import boto3
ecr = boto3.client("ecr")
image = ecr.batch_get_image(repositoryName={repository!r}, imageIds=[{{"imageTag": "build-1"}}])["images"][0]
ecr.put_image(repositoryName={repository!r}, imageManifest=image["imageManifest"], imageTag={tag!r},
              imageManifestMediaType=image["imageManifestMediaType"], imageDigest=image["imageId"]["imageDigest"])
"""
FUNCTION = """
from promoter.handler import lambda_handler
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "x"
def serve(event):
    answer = lambda_handler(event, Context())
    assert "PROMOTED" in str(answer), answer
serve({event!r})
"""
WARM = """
import json, sys, time
began, used = time.monotonic(), time.process_time()
for event in {events!r}:
    serve(event)
wall, cpu = time.monotonic() - began, time.process_time() - used
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([wall, cpu, int(peak)]), file=sys.stderr)
"""
SERVED = 40  # warm invocations of one process


@dataclass(frozen=True)
class Cold:
    """Wall and CPU time of each way, and the slowest imports of the event path by name, in milliseconds.

    `warm` has the figures of later events in the same process: wall and CPU time of one, in milliseconds, and the
    peak of the process's memory in MB.
    """

    wall: dict[str, Samples]
    cpu: dict[str, Samples]
    imports: list[tuple[str, float]]
    warm: tuple[float, float, float]


def measure(lab: Lab, asset: Path, *, tell: Callable[[str], None]) -> Cold:
    """Time the baseline and both paths, each in its own process."""
    sdk = copied_sdk(lab.directory / "sdk")
    paths = [str(asset), str(sdk)]
    cpu = {name: Samples(name) for name in (BARE, EVENT, HTTP)}
    scan = event(lab)
    programs = {BARE: bare(lab), EVENT: lambda: FUNCTION.format(event=scan()), HTTP: http(lab)}

    def way(name: str) -> Callable[[int], None]:
        def run(number: int) -> None:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started(START.format(paths=paths) + programs[name]() + END, lab)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if number >= 0:
                used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                cpu[name].milliseconds.append(used * 1000)

        return run

    wall = interleaved({name: way(name) for name in programs}, rounds=ROUNDS, tell=tell)
    printed = started(START.format(paths=paths) + warm(scan), lab)
    taken, used, peak = json.loads(printed.strip().splitlines()[-1])
    return Cold(
        wall, cpu, import_tree(lab, paths), (taken / SERVED * 1000, used / SERVED * 1000, peak * 1024 / 1e6)
    )


def warm(scan: Callable[[], dict[str, Any]]) -> str:
    """Return a program that serves many events in one process."""
    return FUNCTION.format(event=scan()) + WARM.format(events=[scan() for _ in range(SERVED)])


def bare(lab: Lab) -> Callable[[], str]:
    """Return a maker of programs that make the two calls, each for a new tag."""
    repository = prepared(lab)
    return lambda: BASELINE.format(repository=repository, tag=uuid.uuid4().hex)


def event(lab: Lab) -> Callable[[], dict[str, Any]]:
    """Return a maker of events of a finished scan, each for a new source tag."""
    repository = prepared(lab)
    image = pusher.push_image(lab.aws.registry, repository, "build-1", seed=repository)
    lab.finish_scan(repository, image.digest)

    def finished() -> dict[str, Any]:
        tag = f"build-{uuid.uuid4().int % 10**9}"
        lab.store_image(repository, image.manifest, [tag])
        detail = {
            "scan-status": "COMPLETE",
            "repository-name": repository,
            "image-digest": image.digest,
            "image-tags": [tag],
        }
        head = {"id": uuid.uuid4().hex, "source": "aws.ecr", "detail-type": "ECR Image Scan"}
        place = {"account": lab.aws.account_id, "region": lab.aws.region}
        body = json.dumps(head | place | {"detail": detail})
        return {"Records": [{"eventSource": "aws:sqs", "body": body}]}

    return finished


def http(lab: Lab) -> Callable[[], str]:
    """Return a maker of programs that serve a pipeline's call, each for a new version."""
    repository = prepared(lab)
    image = pusher.push_image(lab.aws.registry, repository, "staging", seed=repository)
    lab.finish_scan(repository, image.digest)

    def program() -> str:
        body = {
            "repositoryName": repository,
            "source": {"imageTag": "staging"},
            "imageTag": f"v1.0.{uuid.uuid4().int % 10**9}",
        }
        request = {
            "version": "2.0",
            "routeKey": "POST /promotions",
            "rawPath": "/promotions",
            "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "requestId": "r",
                "stage": "$default",
                "http": {"method": "POST", "path": "/promotions"},
            },
            "body": json.dumps(body),
            "isBase64Encoded": False,
        }
        return FUNCTION.format(event=request)

    return program


def prepared(lab: Lab) -> str:
    """Create a repository that the project's own policy covers, with an image; return its name."""
    repository = lab.create_repository("team")
    pusher.push_image(lab.aws.registry, repository, "build-1", seed=repository)
    return repository


def started(program: str, lab: Lab, *options: str) -> str:
    """Run a program in a fresh, isolated interpreter, as Lambda does; return its stderr."""
    kept = {"PATH": os.environ["PATH"]}
    function = {
        "PROMOTER_REGISTRY_ID": lab.aws.account_id,
        "PROMOTER_TABLE": lab.variables["PROMOTER_TABLE"],
        "PROMOTER_LEASE_SECONDS": "33",
        "PROMOTER_HISTORY_DAYS": "1",
        "PROMOTER_EVENTS_QUEUE": lab.variables["PROMOTER_EVENTS"],
        "PROMOTER_FAILED_EVENTS_QUEUE": lab.variables["PROMOTER_FAILED_EVENTS"],
        "PROMOTER_UNANNOUNCED_QUEUE": lab.variables["PROMOTER_UNANNOUNCED"],
        "PROMOTER_EVENT_TRIES": "5",
        "PROMOTER_EVENT_RETRY_SECONDS": "60",
        "PROMOTER_OPERATORS": '["*"]',
    }
    done = subprocess.run(
        [sys.executable, "-I", "-B", *options, "-c", program],
        env=kept | lab.aws.environment() | function,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stderr


def import_tree(lab: Lab, paths: list[str]) -> list[tuple[str, float]]:
    """Return the times of the event path's imports, the slowest first; each includes what it imports."""
    printed = started(START.format(paths=paths) + "import promoter.handler", lab, "-X", "importtime")
    found = re.findall(r"import time:\s+\d+ \|\s+(\d+) \|\s+(\S+)", printed)
    costs = {name: int(micro) / 1000 for micro, name in found}
    return sorted(costs.items(), key=lambda entry: entry[1], reverse=True)[:20]


def copied_sdk(directory: Path) -> Path:
    """Copy boto3 and its dependencies from this environment and compile them, as in Lambda's runtime."""
    directory.mkdir()
    for name in SDK:
        for file in metadata.distribution(name).files or []:
            source = Path(str(file.locate()))
            if source.suffix == ".pyc" or ".." in file.parts or not source.is_file():
                continue
            copy = directory / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(directory)], check=True)
    return directory
