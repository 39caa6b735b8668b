"""What the options of every command say: where the API is, who calls, and how the answer is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DEFAULT_STACK = "EcrPromoter"


@dataclass(frozen=True)
class Settings:
    """The options of every command. `output` and `stack` are None where the user named none."""

    api_url: str | None = None
    stack: str | None = None
    profile: str | None = None
    region: str | None = None
    token: bool = False
    audience: str = "ecr-promoter"
    ca_bundle: str | None = None
    connect_timeout: float = 10
    read_timeout: float = 60
    retry_for: float = 60
    output: str | None = None
    query: Any = None
    color: str = "auto"
    debug: bool = False
