"""Compiled policies, for tests of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promoter.domain.policy import Policy, load

ACCOUNT = "123456789012"


def rule(**members: Any) -> dict[str, Any]:
    """Return a compiled rule; other members have the defaults of promotions.yaml."""
    return {
        "name": "prod-by-pipeline",
        "on": "request",
        "registry": None,
        "repositories": ["team/*"],
        "from": None,
        "to": ["prod"],
        "to_matching": [],
        "callers": None,
        "gate": None,
    } | members


def gate(**members: Any) -> dict[str, Any]:
    """Return a compiled gate with these members only; it demands nothing else."""
    return {
        "findings": None,
        "fixable_only": False,
        "min_age": 0,
        "max_scan_age": None,
        "ignore": [],
        "signed": False,
        "signing_profiles": [],
        "soak": 0,
    } | members


def policy(*rules: dict[str, Any], freeze: Sequence[dict[str, Any]] = ()) -> Policy:
    """Return a policy of these rules, for the account of the tests."""
    return load({"rules": list(rules), "freeze": list(freeze)}, registry_id=ACCOUNT)
