"""`python -m local.image push|scan IMAGE`: pushes an image like a build, and finishes its scans like Amazon ECR.

Needs the variables of `.local/env`, but no docker. The tutorial uses it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import boto3

from local import pusher

NAMELESS = "image"
"""The platform of an image without an index, as the API names it in reasons."""


def push(given: argparse.Namespace) -> None:
    """Push a tiny image of two platforms. The same name makes the same digests."""
    pushed = pusher.push_index(os.environ["REGISTRY"], given.repository, given.tag, seed=given.tag)
    show(given.image, pushed.digest)
    for platform, child in pushed.children.items():
        show(platform, child.digest)


def scan(given: argparse.Namespace) -> None:
    """Finish the scan of every platform of the image, as Amazon ECR does some time after a push."""
    scanned = platforms(given.repository, given.tag)
    if unknown := given.finding.keys() - scanned.keys():
        raise SystemExit(f"{given.image} has no platform {', '.join(unknown)}, only {', '.join(scanned)}")
    for platform, digest in scanned.items():
        findings = given.finding.get(platform, [])
        image = {"repositoryName": given.repository, "imageDigest": digest}
        control("scans", image | {"status": "COMPLETE", "findings": findings})
        found = ", ".join(f"{finding['severity']} {finding['id']}" for finding in findings)
        print(f"{platform:<20}  scanned: {found or 'no findings'}")


def platforms(repository: str, tag: str) -> dict[str, str]:
    """Return the digest of each platform of an image. Raises SystemExit where there is no such image."""
    answer = boto3.client("ecr").batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])
    if not answer["images"]:
        raise SystemExit(f"there is no {repository}:{tag}: push it first")
    image = answer["images"][0]
    entries = json.loads(image["imageManifest"]).get("manifests")
    if entries is None:
        return {NAMELESS: image["imageId"]["imageDigest"]}
    return {"{os}/{architecture}".format_map(entry["platform"]): entry["digest"] for entry in entries}


def control(route: str, body: Mapping[str, Any]) -> None:
    """Call a control route of the local AWS."""
    url = f"{os.environ['AWS_ENDPOINT_URL']}/_local/{route}"
    # A proxy that the environment names cannot reach the loopback interface of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(url, json.dumps(body).encode(), timeout=30).close()


def show(name: str, digest: str) -> None:
    """Print one line."""
    print(f"{name:<20}  {digest}")


class Finding(argparse.Action):
    """Gathers `--finding PLATFORM=SEVERITY:ID` by platform."""

    def __call__(self, _parser: Any, given: argparse.Namespace, value: Any, _option: Any = None) -> None:
        """Add one finding. Raises argparse.ArgumentError where it is not written so."""
        platform, _, finding = value.partition("=")
        severity, _, identifier = finding.partition(":")
        if not identifier:
            raise argparse.ArgumentError(self, f"{value} is not PLATFORM=SEVERITY:ID")
        so_far = given.finding.get(platform, [])
        given.finding = {**given.finding, platform: [*so_far, {"id": identifier, "severity": severity}]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.image", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (push, scan):
        sub = commands.add_parser(command.__name__, help=command.__doc__)
        sub.add_argument("image", metavar="REPOSITORY:TAG")
        sub.set_defaults(command=command, finding={})
    sub.add_argument("--finding", action=Finding, metavar="PLATFORM=SEVERITY:ID", help="what the scan found there")
    given = parser.parse_args(arguments)
    given.repository, colon, given.tag = given.image.rpartition(":")
    if not colon:
        parser.error(f"{given.image} is not REPOSITORY:TAG")
    if "REGISTRY" not in os.environ:
        parser.error("REGISTRY is not set: start the local AWS with `make local`, then `. .local/env`")
    given.command(given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
