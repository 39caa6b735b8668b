"""The size of the function's asset, and of its largest parts."""

from __future__ import annotations

import io
import json
import platform
import zipfile
from dataclasses import dataclass
from pathlib import Path

from infra.bundling import build
from infra.policy import file

PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Part:
    """A package of the asset: its size in bytes, unzipped and zipped alone."""

    name: str
    unzipped: int
    zipped: int


@dataclass(frozen=True)
class Asset:
    """The size of the asset in bytes, and its ten largest parts."""

    directory: Path
    unzipped: int
    zipped: int
    parts: list[Part]


def make(directory: Path) -> Path:
    """Bundle the asset as `cdk deploy` does, for this machine's processor."""
    architecture = "x86_64" if platform.machine() in ("x86_64", "AMD64") else "arm64"
    policy = json.dumps(file.read(PROJECT / "promotions.yaml").compiled())
    build(directory, policy=policy, architecture=architecture)
    return directory


def measure(directory: Path) -> Asset:
    """Measure the asset in the directory."""
    parts = sorted(
        (Part(path.name, size(path), zipped(path)) for path in directory.iterdir()),
        key=lambda part: part.zipped,
        reverse=True,
    )
    return Asset(directory, size(directory), zipped(directory), parts[:10])


def size(path: Path) -> int:
    """Return the size of a file, or of all files of a folder, in bytes."""
    return sum(each.stat().st_size for each in files(path))


def zipped(path: Path) -> int:
    """Return the size of a zip file of the path, in bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in files(path):
            archive.write(each, each.relative_to(path.parent))
    return buffer.tell()


def files(path: Path) -> list[Path]:
    """Return the file, or all files of the folder, in a stable order."""
    return [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
