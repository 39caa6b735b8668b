"""The output of `aws ecr put-image`: PutImage's `image`, in the format that the AWS CLI would choose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ecr_promoter.api import aws
from ecr_promoter.exits import Failed
from ecr_promoter.output import show as output
from ecr_promoter.output import tables
from ecr_promoter.put_image_input import operation
from ecr_promoter.settings import Settings

MEMBERS = ("registryId", "repositoryName", "imageId", "imageManifest", "imageManifestMediaType")
FORMATS = ("json", "text", "table", "yaml")


def of_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one image of an answer as PutImage has it. Raises Failed for an answer without an image."""
    images = answer.get("images") or []
    if not images:
        raise Failed("The service answered without an image. --debug shows the answer.")
    return {name: images[0][name] for name in MEMBERS if name in images[0]}


def of_record(record: Mapping[str, Any], manifest: str) -> dict[str, Any]:
    """Return the image of a promotion that has waited. Its record has no manifest: it is the one that was sent."""
    image = record["images"][0]
    return {
        "registryId": record["registryId"],
        "repositoryName": record["repositoryName"],
        "imageId": {
            "imageDigest": image.get("imageDigest") or record["imageDigest"],
            "imageTag": image["imageTag"],
        },
        "imageManifest": manifest,
        "imageManifestMediaType": record["imageManifestMediaType"],
    }


def skeleton() -> Any:
    """Return a sample of the output."""
    from botocore.utils import ArgumentGenerator

    return ArgumentGenerator(use_member_names=True).generate_skeleton(operation().output_shape)


def show(settings: Settings, document: Any) -> None:
    """Print the output as the AWS CLI does: in the format of the option, the environment, the profile, or JSON."""
    wanted = settings.output or configured(settings)
    output.show(replace(settings, output=wanted), document, lambda each: tables.of_anything(each["image"]))


def write(settings: Settings, document: Any) -> None:
    """Print an input skeleton, which is always JSON and never queried."""
    show(replace(settings, output="json", query=None), document)


def configured(settings: Settings) -> str:
    """Return the format that the AWS CLI's own settings name."""
    named = os.environ.get("AWS_DEFAULT_OUTPUT")
    if named is None:
        with aws.explain_errors():
            session: Any = aws.open_session(settings)
            named = session._session.get_scoped_config().get("output")  # noqa: SLF001 - boto3 has no way to it
    return named if named in FORMATS else "json"
