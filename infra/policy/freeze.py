"""The shape of a freeze in promotions.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, Field

from infra.policy.shape import STRICT, Mistake
from infra.policy.text import cut
from infra.policy.values import Moment, Name, RepositoryGlob, Sentence, Zone, instant


class FreezeModel(BaseModel):
    """A time in which rules promote nothing."""

    model_config = STRICT

    from_: Annotated[Moment, Field(alias="from", description="first day, or the exact time")]
    to: Annotated[Moment, Field(description="last day, or the exact time at which the freeze ends")]
    reason: Annotated[Sentence, Field(description="shown in refusals")]
    rules: Annotated[list[Name] | None, Field(min_length=1, description="names of rules; default: all")] = None
    repositories: Annotated[list[RepositoryGlob] | None, Field(min_length=1, description="default: all")] = None
    timezone: Annotated[Zone, Field(description="IANA name, for days and times without an offset")] = "UTC"

    def mistakes(self, rules: set[str]) -> Iterator[Mistake]:
        """Yield the reasons for which the freeze would have no effect."""
        if instant(self.from_, self.timezone, end=False) >= instant(self.to, self.timezone, end=True):
            yield ("to",), f"{self.to} is not after {self.from_}, so the freeze has no effect: write a later end"
        for number, name in enumerate(self.rules or ()):
            if name not in rules:
                yield ("rules", number), f"no rule is named {name}: the rules are {cut(', '.join(sorted(rules)))}"

    def compiled(self) -> dict[str, Any]:
        """Return the JSON that domain.policy.load reads: seconds since 1970, `to` being the first one after."""
        return {
            "from": int(instant(self.from_, self.timezone, end=False).timestamp()),
            "to": int(instant(self.to, self.timezone, end=True).timestamp()),
            **self.model_dump(mode="json", include={"reason", "rules", "repositories"}),
        }
