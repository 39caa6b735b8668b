"""Compiled policies, for tests of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promoter.domain.policy import Policy, load

ACCOUNT = "123456789012"
EVERY_KEY = """
rules:
  - name: prod
    on: request
    repositories: [web]
    to: [prod]
    callers: ["github:owner/repo:environment:prod", "arn:aws:iam::*:user/x", "jwt:*"]
    gate:
      findings: {CRITICAL: 0, UNTRIAGED: 3}
      fixable_only: true
      min_age: 90m
      ignore: [{id: CVE-1, until: 2026-12-31, reason: why, package: openssl}]
      signed: true
      soak: 7d
freeze:
  - {from: 2026-12-24, to: 2027-01-02, reason: holidays, timezone: Europe/Berlin}
  - from: 2026-12-24T18:00:00
    to: "2026-12-24T20:00:00+01:00"
    reason: evening
    rules: [prod]
    repositories: ["w*"]
"""
"""A policy that has every key of promotions.yaml."""


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
