"""The only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

POLICY_FILE = Path(__file__).with_name("policy.json")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the function is told: its own account's registry, its Region and its table."""

    registry_id: str
    region: str
    table: str
    policy_file: Path = POLICY_FILE

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings. Raises RuntimeError naming the variable that is missing."""
        try:
            return cls(
                registry_id=environment["PROMOTER_REGISTRY_ID"],
                region=environment["AWS_REGION"],
                table=environment["PROMOTER_TABLE"],
            )
        except KeyError as error:
            raise RuntimeError(
                f"environment variable {error.args[0]} is not set; the stack and Lambda set it"
            ) from error
