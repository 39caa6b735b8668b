"""Runs of schemathesis on a deployed stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.torture.deployment import Deployment
from tests.torture.hostile import Known

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs" / "openapi.json"
SCHEMATHESIS = (sys.executable, "-m", "schemathesis.cli")
SETTINGS = Path(__file__).with_name("schemathesis.toml")
TAGS = ("candidate", "other", "prod", "v1", "v2", "gated", "signed", "soaked", "frozen", "staging")
PLACES = {
    "repositories": ("body.repositoryName", "query.repositoryName"),
    "digests": ("body.source.imageDigest", "body.expectedDigest", "query.imageDigest"),
    "tags": ("body.source.imageTag", "body.imageTag", "body.imageTags[*]", "query.imageTag"),
    "promotions": ("path.promotionId",),
}
"""Where names that exist are put, mostly: a random one leads to little more than a 404."""


@dataclass(frozen=True)
class Run:
    """What a run did: its exit status, its report, and what it printed."""

    status: int
    report: Mapping[str, Any]
    printed: str

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return int(self.report["test_cases"]["generated"])

    @property
    def failures(self) -> list[str]:
        """The kinds of failures, each with its routes. Not to be able to test is one too."""
        found = [f"{each['title']}: {', '.join(each['operations'])}" for each in self.report["failures"]]
        return found or ([] if self.status == 0 else [f"schemathesis ended with {self.status}"])

    @property
    def accepted(self) -> int:
        """How many valid requests were answered with a 2xx."""
        phases = [phase for route in self.report["valid_rates"].values() for phase in route.values()]
        return sum(phase["accepted"] for phase in phases)


def run(deployment: Deployment, known: Known, *options: str) -> Run:
    """Run schemathesis once, with options of its command `run`.

    It has one worker. With several, Python 3.11's parser fails at times (CPython issue 106905).
    """
    with tempfile.TemporaryDirectory(prefix="ecr-promoter-openapi-") as folder:
        settings, report = Path(folder, "schemathesis.toml"), Path(folder, "report.json")
        settings.write_text(f"{SETTINGS.read_text()}\n{existing(known)}")
        place = [str(DOCUMENT), "--url", deployment.variables["PROMOTER_API_URL"]]
        reporting = ["--report", "json", "--report-json-path", str(report)]
        done = subprocess.run(
            [*SCHEMATHESIS, "--config-file", str(settings), "run", *place, "--workers", "1", *reporting, *options],
            cwd=PROJECT,
            env=os.environ | deployment.aws.environment() | {"SCHEMATHESIS_HOOKS": "tests.openapi.hooks"},
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.is_file():
            raise AssertionError(done.stdout + done.stderr)
        return Run(done.returncode, json.loads(report.read_text()), done.stdout + done.stderr)


def existing(known: Known) -> str:
    """Return the settings that put names which exist on the stack into requests."""
    names = {
        "repositories": [known.repository],
        "digests": known.digests,
        "tags": TAGS,
        "promotions": known.promotions,
    }
    # What TOML takes for a list of texts, JSON takes too.
    dictionaries = [
        f"[dictionaries.{name}]\nvalues = {json.dumps(list(values))}" for name, values in names.items()
    ]
    places = [
        f'"{place}" = {{dictionary = "{name}", probability = 0.9}}'
        for name, all_places in PLACES.items()
        for place in all_places
    ]
    return "\n".join([*dictionaries, "[parameters]", *places])
