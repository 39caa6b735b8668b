"""`make bench`: a fresh local AWS, every measurement in one run, and docs/reference/benchmarks.md."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench import asset, burst, cold, growth, report, warm
from bench.lab import Lab
from local import process
from local.deploy import PROJECT, deploy


def main() -> int:
    """Measure everything and write the report; return the exit code."""
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="ecr-promoter-bench-") as folder:
        directory = Path(folder)
        try:
            tell("starting a local AWS and deploying the stack to it")
            aws = process.start(directory)
            lab = Lab(aws, deploy(aws, directory, PROJECT / "bench" / "policy.yaml", tell=tell), directory)
            tell("bundling the asset")
            bundled = asset.measure(asset.make(directory / "asset"))
            tell("warm: promotions beside boto3, the AWS CLI, skopeo and oras")
            warmed = warm.measure(lab, tell=tell)
            tell("cold: fresh interpreters")
            cooled = cold.measure(lab, bundled.directory, tell=tell)
            tell("growth: events, callers, tags, records, rules")
            curves = growth.measure(lab, tell=tell)
            tell(f"burst: {burst.EVENTS:,} events against {burst.QUOTA} PutImage calls a second")
            drained = burst.measure(lab, tell=tell)
        finally:
            process.stop(directory)
    results = report.Results(warmed, cooled, bundled, curves, drained, seconds=time.monotonic() - began)
    report.write(results, PROJECT / "docs" / "reference" / "benchmarks.md")
    tell("docs/reference/benchmarks.md is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
