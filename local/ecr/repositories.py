"""Repositories and their tag mutability (user guide, "Preventing image tags from being overwritten")."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import Any

from local import emulator
from local.ecr import values
from local.ecr.errors import EcrError, InvalidParameter, RepositoryNotFound
from local.ecr.store import repository

MUTABILITIES = ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")


def is_immutable(settings: dict[str, Any], tag: str) -> bool:
    """Return whether the tag cannot be moved: the setting, or its opposite where an exclusion filter matches."""
    setting = settings.get("imageTagMutability", "MUTABLE")
    filters = settings.get("imageTagMutabilityExclusionFilters") or []
    # Only `*` is a wildcard in a filter. fnmatch's other special characters are not valid in filters and tags.
    excluded = setting.endswith("_WITH_EXCLUSION") and any(fnmatchcase(tag, entry["filter"]) for entry in filters)
    return bool(setting.startswith("IMMUTABLE") != excluded)


def create(request: dict[str, Any]) -> dict[str, Any]:
    """CreateRepository."""
    name = values.repository_name(values.required(request, "repositoryName"))
    account, region = emulator.account_id(), emulator.region()
    if name in emulator.repositories():
        raise EcrError(
            "RepositoryAlreadyExistsException",
            f"The repository with name '{name}' already exists in the registry with id '{account}'",
        )
    settings = {
        "repositoryArn": f"arn:aws:ecr:{region}:{account}:repository/{name}",
        "registryId": account,
        "repositoryName": name,
        "repositoryUri": f"{account}.dkr.ecr.{region}.amazonaws.com/{name}",
        "createdAt": time.time(),
        "imageScanningConfiguration": request.get("imageScanningConfiguration") or {"scanOnPush": False},
        "encryptionConfiguration": request.get("encryptionConfiguration") or {"encryptionType": "AES256"},
        "tags": request.get("tags") or [],
    }
    emulator.repositories()[name] = settings | _mutability(request)
    return {"repository": described(emulator.repositories()[name])}


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """DescribeRepositories."""
    known, account = emulator.repositories(), emulator.account_id()
    registry_id = request.get("registryId") or account
    names = request.get("repositoryNames") or (sorted(known) if registry_id == account else [])
    for name in names:
        if registry_id != account or name not in known:
            raise RepositoryNotFound(name, registry_id)
    shown, more = values.page(names, request, default=100, most=1000)
    return {"repositories": [described(known[name]) for name in shown], **more}


def delete(request: dict[str, Any]) -> dict[str, Any]:
    """DeleteRepository, with everything in it."""
    found = repository(request)
    if found.images and not request.get("force"):
        raise EcrError(
            "RepositoryNotEmptyException",
            f"The repository with name '{found.name}' in registry with id '{found.registry_id}'"
            " cannot be deleted because it still contains images",
        )
    emulator.delete_blobs(found.name)
    return {"repository": described(emulator.repositories().pop(found.name))}


def put_mutability(request: dict[str, Any]) -> dict[str, Any]:
    """PutImageTagMutability."""
    found = repository(request)
    values.required(request, "imageTagMutability")
    chosen = _mutability(request)
    found.settings.pop("imageTagMutabilityExclusionFilters", None)
    found.settings.update(chosen)
    return {**found.identity, **chosen}


def described(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a repository as the API answers it: without its resource tags, which another operation lists."""
    return {name: value for name, value in settings.items() if name != "tags"}


def _mutability(request: dict[str, Any]) -> dict[str, Any]:
    setting = request.get("imageTagMutability") or "MUTABLE"
    filters = request.get("imageTagMutabilityExclusionFilters") or []
    if setting not in MUTABILITIES:
        raise InvalidParameter("imageTagMutability", f"Member must satisfy enum value set: {list(MUTABILITIES)}")
    if not setting.endswith("_WITH_EXCLUSION"):
        if filters:
            raise InvalidParameter(
                "imageTagMutabilityExclusionFilters", f"must not be given with imageTagMutability {setting}"
            )
        return {"imageTagMutability": setting}
    for entry in values.listed(request, "imageTagMutabilityExclusionFilters", 5):
        values.matching(entry.get("filter", ""), "[0-9a-zA-Z._*-]{1,128}", "imageTagMutabilityExclusionFilters")
    return {"imageTagMutability": setting, "imageTagMutabilityExclusionFilters": filters}
