"""The asset that is deployed as the functions' code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import bundling

POLICY = json.dumps({"rules": []})
ARCHITECTURE = os.uname().machine.replace("aarch64", "arm64")
EVENT = {"detail-type": "Something Else", "source": "some.one", "id": "1"}


def contents(folder: Path) -> dict[str, str]:
    """Return the digest of every file by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The asset for this machine's own architecture."""
    folder = tmp_path_factory.mktemp("asset")
    bundling.build(folder, policy=POLICY, architecture=ARCHITECTURE)
    return folder


def test_two_builds_from_two_folders_are_the_same_bytes(
    asset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the project and the time of the build do not change the asset, so nothing is redeployed."""
    elsewhere = tmp_path / "another" / "clone" / "lambda"
    shutil.copytree(bundling.SOURCE, elsewhere)
    (elsewhere / "promoter" / "__pycache__").mkdir(exist_ok=True)
    (elsewhere / "promoter" / "__pycache__" / "stray.pyc").write_bytes(b"stray")
    before = bundling.fingerprint(POLICY, "arm64")
    monkeypatch.setattr(bundling, "SOURCE", elsewhere)
    bundling.build(tmp_path / "asset", policy=POLICY, architecture=ARCHITECTURE)

    assert contents(tmp_path / "asset") == contents(asset)
    assert bundling.fingerprint(POLICY, "arm64") == before


def test_the_users_shell_does_not_change_the_asset(
    asset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's variables change no byte, and Lambda can read every file in spite of a strict umask."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "cache"))
    before = os.umask(0o077)
    try:
        bundling.build(tmp_path / "asset", policy=POLICY, architecture=ARCHITECTURE)
    finally:
        os.umask(before)

    assert contents(tmp_path / "asset") == contents(asset)
    for path in (tmp_path / "asset").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize("file", ["promoter/promotion/promote.py", "requirements.txt"])
def test_a_change_of_code_or_pins_is_another_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """A change in git is deployed."""
    before = bundling.fingerprint(POLICY, "arm64")
    shutil.copytree(bundling.SOURCE, tmp_path / "lambda")
    with (tmp_path / "lambda" / file).open("a") as changed:
        changed.write("\n# changed\n")
    monkeypatch.setattr(bundling, "SOURCE", tmp_path / "lambda")

    assert bundling.fingerprint(POLICY, "arm64") != before


def test_a_change_of_policy_or_architecture_is_another_asset() -> None:
    """The asset has the policy, and wheels for one processor."""
    prints = {bundling.fingerprint(policy, arch) for policy in (POLICY, "{}") for arch in ("arm64", "x86_64")}

    assert len(prints) == 4


def test_the_asset_has_the_code_the_policy_and_nothing_else(asset: Path) -> None:
    """It has no SDK, which is in the runtime, and no scripts, tests or metadata; every module is compiled."""
    top = {path.name for path in asset.iterdir()}

    assert {"promoter", "aws_lambda_powertools", "msgspec", "jmespath", "typing_extensions.py"} <= top
    assert not top & {"boto3", "botocore", "s3transfer", "urllib3", "pydantic", "yaml", "bin", "requirements.txt"}
    assert not [name for name in top if name.endswith(".dist-info")]
    assert not list(asset.rglob("tests"))
    assert json.loads((asset / "promoter" / "policy.json").read_text()) == {"rules": []}
    for source in asset.rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source


def test_the_asset_stays_small(asset: Path, tmp_path: Path) -> None:
    """Lambda loads it at a cold start, so it has at most 4 MB zipped."""
    with zipfile.ZipFile(tmp_path / "asset.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in asset.rglob("*"):
            archive.write(path, path.relative_to(asset))

    assert (tmp_path / "asset.zip").stat().st_size < 4_000_000


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with boto3 and its dependencies, as in the Lambda runtime."""
    folder = tmp_path_factory.mktemp("sdk")
    for name in ("boto3", "botocore", "s3transfer", "urllib3", "jmespath", "dateutil", "six"):
        module = sys.modules.get(name) or __import__(name)
        origin = Path(str(module.__file__))
        target = origin.parent if origin.name == "__init__.py" else origin
        (folder / target.name).symlink_to(target)
    return folder


@pytest.mark.parametrize("kind", ["event", "http"])
def test_the_asset_alone_serves_both_callers(asset: Path, sdk: Path, kind: str) -> None:
    """The interpreter has only the asset and the SDK in its path, so a missing dependency fails here."""
    request = {
        "rawPath": "/promotions",
        "headers": {},
        "requestContext": {
            "requestId": "r",
            "stage": "$default",
            "http": {"method": "POST", "path": "/promotions"},
        },
        "body": "{}",
    }
    queued = {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(EVENT)}]}
    program = f"""
import json, sys
sys.path[:] = [{str(asset)!r}, {str(sdk)!r}] + [path for path in sys.path if "site-packages" not in path]
from promoter.handler import lambda_handler
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "x"
print("answer:" + json.dumps(lambda_handler({(queued if kind == "event" else request)!r}, Context())))
"""
    environment = {
        "PROMOTER_REGISTRY_ID": "123456789012",
        "PROMOTER_TABLE": "ledger",
        "PROMOTER_LEASE_SECONDS": "33",
        "PROMOTER_HISTORY_DAYS": "400",
        "PROMOTER_EVENTS_QUEUE": "https://sqs.example/events",
        "PROMOTER_FAILED_EVENTS_QUEUE": "https://sqs.example/failed",
        "PROMOTER_UNANNOUNCED_QUEUE": "https://sqs.example/unannounced",
        "PROMOTER_EVENT_TRIES": "5",
        "PROMOTER_EVENT_RETRY_SECONDS": "60",
        "PROMOTER_OPERATORS": '["*"]',
        "AWS_REGION": "eu-central-1",
    }

    done = subprocess.run(
        [sys.executable, "-I", "-c", program], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.partition("answer:")[2].splitlines()[0])
    if kind == "event":
        assert answer["outcome"] == "IGNORED"
    else:
        assert answer["statusCode"] == 400
        assert json.loads(answer["body"])["field"] == "repositoryName"
