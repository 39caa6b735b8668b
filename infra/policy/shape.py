"""The configuration of the policy's models, and the form of their mistakes."""

from __future__ import annotations

from pydantic import ConfigDict

Place = tuple[str | int, ...]
Mistake = tuple[Place, str]
"""The place in the document, and what to write instead."""

STRICT = ConfigDict(extra="forbid", frozen=True)
"""A model accepts no other keys than its own, and does not change."""
