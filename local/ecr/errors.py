"""The errors of Amazon ECR, with its codes and texts.

EcrError                                an HTTP 400 with a code of the API reference
+- InvalidParameter                     a value that breaks a constraint
+- RepositoryNotFound / ImageNotFound   the request names something that does not exist
"""

from __future__ import annotations

from typing import Any


class EcrError(Exception):
    """An error answer of the ECR API: `code`, a message, and the members that the error's shape adds."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.members = members


class InvalidParameter(EcrError):
    """InvalidParameterException about one parameter."""

    def __init__(self, parameter: str, constraint: str) -> None:
        super().__init__(
            "InvalidParameterException",
            f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'",
        )


class RepositoryNotFound(EcrError):
    """RepositoryNotFoundException, which names the registry too."""

    def __init__(self, name: str, registry_id: str) -> None:
        super().__init__(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id '{registry_id}'",
        )


class ImageNotFound(EcrError):
    """ImageNotFoundException, which names the image."""

    def __init__(self, image_id: dict[str, str], name: str, registry_id: str) -> None:
        super().__init__(
            "ImageNotFoundException",
            f"The image with imageId {printed(image_id)} does not exist within the repository"
            f" with name '{name}' in the registry with id '{registry_id}'",
        )


def printed(image_id: dict[str, str]) -> str:
    """Return an imageId as ECR prints it in its messages."""
    digest, tag = image_id.get("imageDigest", "null"), image_id.get("imageTag", "null")
    return f"{{imageDigest:'{digest}', imageTag:'{tag}'}}"
