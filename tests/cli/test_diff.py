"""`diff`: what one image has and the other has not."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ecr_promoter.api import aws
from tests.cli.conftest import LOST, FakeApi, Run

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
REVISION = "org.opencontainers.image.revision"


def digest_of(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


class FakeEcr:
    """A registry of manifests by tag and digest, with scans; config blobs are served by the fake API."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.manifests: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.scans: dict[str, list[dict[str, Any]] | str] = {}

    def push(self, manifest: dict[str, Any], tag: str | None = None) -> str:
        text = json.dumps(manifest)
        digest = digest_of(text)
        self.manifests[digest] = text
        if tag:
            self.tags[tag] = digest
        return digest

    def push_image(self, platform: str, layers: dict[str, int], tag: str | None = None, **labels: str) -> str:
        system, _, architecture = platform.partition("/")
        created = f"2026-11-{20 + len(layers)}T10:00:00Z"
        config = {
            "os": system,
            "architecture": architecture,
            "created": created,
            "config": {"Labels": labels or None},
        }
        digest = digest_of(json.dumps(config))
        self.api.answer(f"GET /blobs/{digest}", config)
        return self.push(
            {
                "mediaType": IMAGE,
                "config": {"mediaType": CONFIG, "digest": digest, "size": 100},
                "layers": [{"digest": digest_of(name), "size": size} for name, size in layers.items()],
            },
            tag,
        )

    def batch_get_image(self, **asked: Any) -> dict[str, Any]:
        images, failures = [], []
        for image_id in asked["imageIds"]:
            digest = image_id.get("imageDigest") or self.tags.get(image_id["imageTag"])
            if digest in self.manifests:
                images.append({"imageId": {"imageDigest": digest}, "imageManifest": self.manifests[digest]})
            else:
                failures.append({"imageId": image_id, "failureReason": "Requested image not found"})
        return {"images": images, "failures": failures}

    def describe_images(self, **asked: Any) -> dict[str, Any]:
        return {"imageDetails": [{"imageTags": ["x"]}]}

    def get_download_url_for_layer(self, **asked: Any) -> dict[str, Any]:
        return {"downloadUrl": f"{self.api.url}/blobs/{asked['layerDigest']}"}

    def get_paginator(self, _: str) -> FakeEcr:
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        scan = self.scans.get(asked["imageId"]["imageDigest"], "ScanNotFoundException")
        if isinstance(scan, str):
            raise ClientError({"Error": {"Code": scan, "Message": ""}}, "DescribeImageScanFindings")
        return [{"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {"findings": scan}}]


def finding(name: str, severity: str) -> dict[str, Any]:
    return {"name": name, "severity": severity, "attributes": [{"key": "package_name", "value": "openssl"}]}


@pytest.fixture
def ecr(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeEcr:
    """A registry with `prod`, an index of two platforms, and `next`, which has one more layer and a finding."""
    fake = FakeEcr(api)
    for tag, layers, revision in (
        ("prod", {"base": 5_000_000, "a": 10}, "1"),
        ("next", {"base": 5_000_000, "b": 20, "c": 30}, "2"),
    ):
        entries = []
        for architecture in ("amd64", "arm64") if tag == "prod" else ("amd64",):
            digest = fake.push_image(f"linux/{architecture}", layers, **{REVISION: revision, "team": "web"})
            fake.scans[digest] = [
                finding("CVE-1", "HIGH"),
                *([finding("CVE-2", "CRITICAL")] if tag == "next" else []),
            ]
            entries.append({"digest": digest, "platform": {"os": "linux", "architecture": architecture}})
        entries.append(
            {"digest": digest_of("attestation"), "platform": {"os": "unknown", "architecture": "unknown"}}
        )
        fake.push({"mediaType": INDEX, "manifests": entries}, tag)
    monkeypatch.setattr(aws, "client", lambda *_: fake)
    return fake


def test_what_differs_is_data(run: Run, ecr: FakeEcr) -> None:
    """Platforms, shared layers, labels, age and findings."""
    document = run("diff", "team/web", "prod", "next", "--output", "json").document

    assert document["identical"] is False
    assert document["first"]["imageDigest"] == ecr.tags["prod"]
    assert document["first"]["platforms"] == ["linux/amd64", "linux/arm64"]
    assert document["second"]["createdAt"] == "2026-11-23T10:00:00Z"
    amd64, arm64 = document["platforms"]
    assert amd64["layers"] == {
        "shared": 1,
        "onlyFirst": 1,
        "onlySecond": 2,
        "sharedBytes": 5_000_000,
        "onlyFirstBytes": 10,
        "onlySecondBytes": 50,
    }
    assert (arm64["platform"], arm64["second"]) == ("linux/arm64", None)
    assert document["labels"] == [{"name": REVISION, "first": "1", "second": "2"}]
    assert document["findings"] == {
        "onlyFirst": [],
        "onlySecond": [
            {
                "vulnerability": "CVE-2",
                "package": "openssl",
                "severity": "CRITICAL",
                "fixedIn": None,
                "platforms": ["linux/amd64"],
            }
        ],
        "unknown": [],
    }


def test_what_differs_is_a_table_for_people(run: Run, ecr: FakeEcr) -> None:
    """Both images side by side, then what only one has."""
    shown = run("diff", "team/web:prod", f"team/web@{ecr.tags['next']}").stdout

    for words in (
        "platforms   linux/amd64, linux/arm64   linux/amd64",
        "revision    1                          2",
        "linux/amd64   differs             1 (5.0 MB)",
        "linux/arm64   only in the first",
        "CRITICAL   CVE-2     openssl   -",
    ):
        assert words in shown, shown


def test_two_names_of_one_image_are_the_same(run: Run, ecr: FakeEcr) -> None:
    """Nothing more is shown."""
    shown = run("diff", "team/web", "prod", ecr.tags["prod"]).stdout

    assert "both are the same image" in shown
    assert "layers" not in shown


@pytest.mark.parametrize(
    ("code", "status"),
    [("ScanNotFoundException", "not scanned"), ("AccessDeniedException", "may not be read")],
)
def test_findings_that_are_not_known_are_told(run: Run, ecr: FakeEcr, code: str, status: str) -> None:
    """No finding is not the same as no scan."""
    ecr.scans = dict.fromkeys(ecr.scans, code)

    shown = run("diff", "team/web", "prod", "next").stdout

    assert "findings not known of" in shown
    assert status in shown


def test_an_image_that_is_not_there_is_named(run: Run, ecr: FakeEcr) -> None:
    """Exit code 3, in one line."""
    ended = run("diff", "team/web", "prod", "nope")

    assert ended.exit_code == 3
    assert "team/web:nope cannot be read: Requested image not found." in ended.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("team/web:prod",), "Name two images"),
        (("team/web", "a", "b", "c"), "Name two images"),
        (("team/web", "prod"), "names no image"),
    ],
)
def test_two_images_are_needed(run: Run, line: tuple[str, ...], words: str) -> None:
    """Exit code 2."""
    ended = run("diff", *line)

    assert ended.exit_code == 2
    assert words in ended.stderr


def test_a_right_that_is_missing_is_named(run: Run, ecr: FakeEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; exit code 4."""

    def denied(**_: Any) -> dict[str, Any]:
        error: Any = {"Code": "AccessDeniedException", "Message": "not authorized to perform ecr:BatchGetImage"}
        raise ClientError({"Error": error}, "BatchGetImage")

    monkeypatch.setattr(ecr, "batch_get_image", denied)

    ended = run("diff", "team/web", "prod", "next")

    assert ended.exit_code == 4
    assert "not authorized to perform ecr:BatchGetImage. Ask for this right" in ended.stderr


def test_enhanced_findings_are_read_too() -> None:
    """Amazon Inspector's, by package, with where they are fixed."""
    from ecr_promoter.images.findings import Finding, read

    details = {
        "vulnerabilityId": "CVE-3",
        "vulnerablePackages": [
            {"name": "zlib", "fixedInVersion": "1.3"},
            {"name": "curl", "fixedInVersion": "NotAvailable"},
        ],
    }
    document = {"enhancedFindings": [{"severity": "HIGH", "packageVulnerabilityDetails": details}]}

    assert list(read(document)) == [
        Finding("CVE-3", "zlib", "HIGH", "1.3"),
        Finding("CVE-3", "curl", "HIGH"),
    ]


def test_the_real_client_has_these_operations() -> None:
    """The fake stands for what boto3 has."""
    real = boto3.client("ecr", region_name="us-east-1")

    for name in ("batch_get_image", "describe_images", "get_download_url_for_layer"):
        assert hasattr(real, name)
    assert real.can_paginate("describe_image_scan_findings")


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"config": []},
        {"config": {"Labels": ["a"]}},
        {"config": {"Labels": {"a": ["b"], "c": 7}}, "created": 7},
        {"os": ["linux"]},
        "[" * 100_000,
    ],
)
def test_a_config_of_another_shape_is_no_bug(run: Run, ecr: FakeEcr, api: FakeApi, config: Any) -> None:
    """Whoever may push decides what it is: it is shown as text, or told."""
    digest = digest_of("odd")
    api.answer(f"GET /blobs/{digest}", config)
    ecr.push({"mediaType": IMAGE, "config": {"mediaType": CONFIG, "digest": digest}, "layers": []}, "odd")

    ended = run("diff", "team/web", "prod", "odd")

    assert ended.exit_code in (0, 4)
    assert "bug" not in ended.stderr


@pytest.mark.parametrize(
    "manifest", [{"manifests": 7}, {"manifests": [{}]}, {"layers": [7]}, {"config": "x"}, {"annotations": [1]}]
)
def test_a_manifest_of_another_shape_is_told(run: Run, ecr: FakeEcr, manifest: dict[str, Any]) -> None:
    """In one line, with its name."""
    ecr.push(manifest, "odd")

    ended = run("diff", "team/web", "prod", "odd")

    assert ended.exit_code == 4
    assert "team/web:odd cannot be compared" in ended.stderr


def test_the_address_of_a_config_is_not_shown(run: Run, ecr: FakeEcr, api: FakeApi) -> None:
    """It is signed: everybody who reads it in a log could download the config."""
    digest = digest_of("lost")
    api.answer(f"GET /blobs/{digest}", status=LOST)
    ecr.push({"mediaType": IMAGE, "config": {"mediaType": CONFIG, "digest": digest}, "layers": []}, "lost")

    ended = run("diff", "team/web", "prod", "lost", "--debug")

    assert ended.exit_code == 4
    assert "cannot be downloaded" in ended.stderr
    assert "/blobs/" not in ended.stderr
