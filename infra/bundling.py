"""The functions' asset: uv builds it from hashed pins, without Docker, and every machine builds the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra import pip_settings
from infra.policy.file import PolicyFile

SOURCE = Path(__file__).parents[1] / "lambda"
PLATFORMS = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
UNWANTED = ("bin", "*.dist-info", "**/__pycache__")  # folders that uv installs and the function does not need


def bundle(policy: PolicyFile, *, architecture: lambda_.Architecture) -> lambda_.Code:
    """Return the asset. Its hash changes with the code, pins, policy, runtime and architecture."""
    compiled = json.dumps(policy.compiled(), sort_keys=True, indent=1)
    return lambda_.Code.from_asset(
        str(SOURCE),
        asset_hash_type=AssetHashType.CUSTOM,
        asset_hash=fingerprint(compiled, architecture.name),
        bundling=BundlingOptions(
            image=DockerImage.from_registry("scratch"),
            local=UvBundling(compiled, architecture.name),  # type: ignore[arg-type]  # jsii passes the options as one value
        ),
    )


def fingerprint(policy: str, architecture: str) -> str:
    """Return a hash of the asset's inputs: this file, policy, code and pins, which stand for the packages."""
    recipe = Path(__file__).read_bytes()
    parts = [recipe, policy.encode(), architecture.encode(), f"{sys.version_info[:2]}".encode()]
    for file in sources():
        parts += [file.relative_to(SOURCE).as_posix().encode(), file.read_bytes()]
    return sha256(b"\0".join(sha256(part).digest() for part in parts)).hexdigest()


def sources() -> list[Path]:
    """Return the files from which the asset is built, in a stable order."""
    return [*sorted((SOURCE / "promoter").rglob("*.py")), SOURCE / "requirements.txt"]


@jsii.implements(ILocalBundling)
class UvBundling:
    """Bundles on this machine; CDK calls it before it tries Docker."""

    def __init__(self, policy: str, architecture: str) -> None:
        self._policy = policy
        self._architecture = architecture

    def try_bundle(self, output_dir: str, options: Any) -> bool:  # noqa: ARG002 - CDK's signature
        """Fill the folder. Raises CalledProcessError if uv fails."""
        build(Path(output_dir), policy=self._policy, architecture=self._architecture)
        return True


def build(target: Path, *, policy: str, architecture: str) -> None:
    """Install the pins for Lambda's platform, add the code and the policy, and compile all modules."""
    install(target, architecture)
    for file in sources():
        copy = target / file.relative_to(SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (target / "requirements.txt").unlink()
    (target / "promoter" / "policy.json").write_text(policy, encoding="utf-8")
    for pattern in UNWANTED:
        for path in target.glob(pattern):
            shutil.rmtree(path)
    precompile(target)
    make_readable(target)


def precompile(target: Path) -> None:
    """Compile every module. A function's folder is read-only, so each cold start would compile it again.

    Python does not check these files against their sources (unchecked-hash), so they do not contain a file's time.
    `-I` keeps the environment (PYTHONOPTIMIZE, PYTHONPYCACHEPREFIX) from changing them.
    """
    command = ["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    paths = ["-s", str(target), "-p", "/var/task", str(target)]
    subprocess.run([sys.executable, *command, *paths], check=True)  # noqa: S603 - a fixed command


def make_readable(target: Path) -> None:
    """Let every user read the asset: Lambda's user could not, if it was built under a strict umask.

    AWS Lambda developer guide, "Troubleshoot deployment issues in Lambda": 644 for files, 755 for folders.
    """
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def install(target: Path, architecture: str) -> None:
    """Install the function's packages, from wheels whose hashes are pinned."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = ["-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    # Copied, because make_readable() would change the files in uv's cache through links.
    wheels = ["--require-hashes", "--no-deps", "--no-build", "--no-compile-bytecode", "--link-mode", "copy"]
    lambdas = ["--python-platform", PLATFORMS[architecture], "--python-version", version]
    paths = ["--target", str(target), "--requirement", str(SOURCE / "requirements.txt")]
    environment = os.environ | pip_settings.for_uv(os.environ)
    subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, *command, *wheels, *lambdas, *paths], check=True, stdout=sys.stderr, env=environment
    )
    (target / ".lock").unlink(missing_ok=True)  # uv's lock file
