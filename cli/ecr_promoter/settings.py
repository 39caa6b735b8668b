"""What the options of every command say: where the API is, who calls, and how the answer is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DEFAULT_STACK = "EcrPromoter"


@dataclass(frozen=True)
class Settings:
    """The options of every command. `output` and `stack` are None where the user named none.

    The time limits are seconds; 0 means that there is none.
    """

    api_url: str | None = None
    stack: str | None = None
    profile: str | None = None
    region: str | None = None
    token: bool = False
    audience: str = "ecr-promoter"
    ca_bundle: str | None = None
    connect_timeout: int = 10
    read_timeout: int = 60
    retry_for: float = 60
    output: str | None = None
    query: Any = None
    color: str = "auto"
    debug: bool = False

    @property
    def timeouts(self) -> tuple[int | None, int | None]:
        """The seconds to wait for a connection and for an answer, as botocore takes them; None: for ever."""
        return self.connect_timeout or None, self.read_timeout or None
