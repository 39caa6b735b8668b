"""The JSON API of Amazon ECR: the function for each operation. ministack answers all other operations."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from local import emulator
from local.ecr import archive, findings, images, layers, listings, repositories
from local.ecr.errors import EcrError

Operation = Callable[[dict[str, Any]], dict[str, Any]]
Handler = Callable[..., Awaitable[emulator.Answer]]

OPERATIONS: Mapping[str, Operation] = {
    "BatchCheckLayerAvailability": layers.check_availability,
    "BatchDeleteImage": listings.batch_delete,
    "BatchGetImage": images.batch_get,
    "CompleteLayerUpload": layers.complete_upload,
    "CreateRepository": repositories.create,
    "DeleteRepository": repositories.delete,
    "DescribeImageScanFindings": findings.describe,
    "DescribeImageSigningStatus": listings.describe_signing_status,
    "DescribeImages": listings.describe_images,
    "DescribeRepositories": repositories.describe,
    "GetDownloadUrlForLayer": layers.download_url,
    "InitiateLayerUpload": layers.initiate_upload,
    "ListImageReferrers": listings.list_referrers,
    "ListImages": listings.list_images,
    "PutImage": images.put,
    "PutImageTagMutability": repositories.put_mutability,
    "UpdateImageStorageClass": archive.update_storage_class,
    "UploadLayerPart": layers.upload_part,
}


def call(operation: Operation, request: dict[str, Any]) -> emulator.Answer:
    """Return the answer to a request: the operation's result, or its error."""
    try:
        return emulator.answer(operation(request))
    except EcrError as error:
        return emulator.failure("ecr", error.code, str(error), 400, error.members)


async def serve(plain: Handler, *request: Any) -> emulator.Answer:
    """Replace `plain`, ministack's own handler, which takes a method, a path, headers, a body and a query."""
    _, _, headers, body, _ = request
    operation = OPERATIONS.get(headers.get("x-amz-target", "").rpartition(".")[2])
    if operation is None:
        return await plain(*request)
    try:
        members = json.loads(body or b"{}")
    except ValueError:
        members = None
    if not isinstance(members, dict):
        return emulator.failure("ecr", "SerializationException", "The body is not a JSON object", 400)
    return call(operation, members)
