"""What the commands that promote have in common: they ask, wait if they may, show the answer, and end by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import click

from ecr_promoter import exits
from ecr_promoter.api import problems
from ecr_promoter.api.client import Client
from ecr_promoter.durations import Duration
from ecr_promoter.exits import CommandError, Failed, Refused
from ecr_promoter.following import follow
from ecr_promoter.output import promotions
from ecr_promoter.output.show import show
from ecr_promoter.settings import Settings


@dataclass(frozen=True)
class Waiting:
    """Whether the promotion may wait on the server, how long at most, and how long this command follows it."""

    wanted: bool = False
    expires: int | None = None
    timeout: int | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether to wait: both spans of time make no sense without it."""
        return self.wanted or self.expires is not None or self.timeout is not None

    def members(self) -> dict[str, Any]:
        """Return the member of the request."""
        if not self.is_wanted:
            return {}
        return {"wait": True if self.expires is None else {"seconds": self.expires}}


def waiting_options(serve: Callable[..., int]) -> Callable[..., int]:
    """Add the options of waiting, which the command gets together as `waiting`."""

    def served(*args: Any, wait: bool, expires: int | None, timeout: int | None, **rest: Any) -> int:
        return serve(*args, waiting=Waiting(wait, expires, timeout), **rest)

    decorated = update_wrapper(served, serve)
    for option in (
        click.option(
            "--timeout",
            type=Duration(),
            help="Follow the promotion for so long at most (implies --wait). After that the exit code is 5, and "
            "the promotion goes on waiting.",
        ),
        click.option(
            "--expires",
            type=Duration(),
            help="Let the promotion wait for so long at most, up to 14d (implies --wait).  [default: 24h]",
        ),
        click.option(
            "--wait",
            is_flag=True,
            help="Wait for what passes with time, such as scans and freezes. The promotion is carried out even if "
            "this command is stopped.",
        ),
    ):
        decorated = option(decorated)
    return decorated


key_option = click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Run the command twice with one key, and nothing moves twice. Put the pipeline's name into it.",
)


def ask(client: Client, settings: Settings, path: str, body: Any, *, key: str | None, waiting: Waiting) -> int:
    """Send a request for a promotion, follow it while it waits, show how it ended; return the exit code."""
    document = client.call("POST", path, body=body, key=key)
    if "outcome" not in document:
        raise Failed("The service answered without an outcome. --debug shows the answer; check --api-url.")
    if waiting.is_wanted and document.get("outcome") == "WAITING":
        document = answer_of(follow(client, settings, document, timeout=waiting.timeout))
    if error := error_of(document):
        raise error
    show(settings, document, promotions.answered)
    return exits.code_of(document.get("outcome"))


def error_of(document: Mapping[str, Any]) -> CommandError | None:
    """Return the error of a promotion that was refused or failed while it waited; None: it was not."""
    if "code" not in document:
        return None
    kind = Failed if document.get("outcome") == "FAILED" else Refused
    return kind(problems.line(document), document=document)


def answer_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record in the shape of an answer, so that a query finds the same members after a wait.

    The manifest is not in it.
    """
    if "code" in record:
        return dict(record)
    place = {name: record[name] for name in ("registryId", "repositoryName") if name in record}
    images = [
        {
            **place,
            "imageId": {
                "imageDigest": image.get("imageDigest") or record.get("imageDigest"),
                "imageTag": image["imageTag"],
            },
            "outcome": image["outcome"],
            "previousDigest": image["previousDigest"],
        }
        for image in record.get("images", ())
    ]
    named = {name: record[name] for name in ("promotionId", "outcome", "rule", "undoes") if name in record}
    return named | {"images": images}
