"""Follows a promotion that waits: asks with a growing pause, and shows what it waits for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol
from urllib.parse import quote

from ecr_promoter import clock
from ecr_promoter.api.client import Client
from ecr_promoter.exits import Failed, StillWaiting
from ecr_promoter.output.notes import note
from ecr_promoter.output.tables import moment
from ecr_promoter.sanitizing import one_line
from ecr_promoter.settings import Settings

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1.0, 30.0, 1.4  # seconds
STOPS = (signal.SIGINT, signal.SIGTERM)
GOES_ON = (None, "WAITING")
"""The outcomes of a promotion that goes on. One that this version does not know has ended."""


class Display(Protocol):
    """Shows what is waited for."""

    def update(self, text: str) -> None:
        """Show this instead of what was shown before."""


def follow(
    client: Client,
    settings: Settings,
    document: Mapping[str, Any],
    *,
    timeout: float | None,
) -> Mapping[str, Any]:
    """Ask for the promotion until it has ended; return its record.

    Raises StillWaiting after `timeout` seconds, or when the user or the CI system ends this command. The promotion
    goes on waiting then.
    """
    promotion_id, seen = document["promotionId"], document
    ends = None if timeout is None else clock.now() + timeout
    next_pause = FIRST_PAUSE
    try:
        with stopped_by_signals() as was_stopped, display(settings) as shown:
            while seen.get("outcome") in GOES_ON:
                shown.update(describe(seen))
                rest = LONGEST_PAUSE if ends is None else ends - clock.now()
                if rest <= 0 or was_stopped():  # what a destructor raises is lost, also an interruption
                    raise StillWaiting(how_to_go_on(seen, promotion_id), document=seen)
                clock.sleep(min(next_pause, rest))
                next_pause = min(next_pause * GROWTH, LONGEST_PAUSE)
                seen = client.call("GET", f"/promotions/{quote(promotion_id, safe='')}")
    except KeyboardInterrupt:
        raise StillWaiting(how_to_go_on(seen, promotion_id), document=seen) from None
    except Failed as error:
        raise Failed(f"{error} {how_to_go_on(seen, promotion_id)}") from error
    return seen


def describe(document: Mapping[str, Any]) -> str:
    """Return what a promotion waits for, in a line."""
    reasons, until = document.get("waitingFor"), moment(document.get("waitsUntil"))
    if not reasons:
        return "running"
    return f"waiting for {', '.join(reasons)}" + (f", until {until} at most" if until else "")


def how_to_go_on(document: Mapping[str, Any], promotion_id: str) -> str:
    """Return that the promotion goes on waiting, and how to follow or end it."""
    return (
        f"Promotion {promotion_id} is still {describe(document)}. It goes on without this command. "
        f"Follow it: ecr-promoter status {promotion_id} --wait. Give it up: ecr-promoter cancel {promotion_id}"
    )


@contextmanager
def display(settings: Settings) -> Iterator[Display]:
    """Show on a terminal what is waited for, with the time since; elsewhere print a line for each change."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from ecr_promoter.output.show import console

    with console(settings, stderr=True).status("", spinner="dots") as status:
        yield Live(status)


class Lines:
    """A line for each change: a log is not flooded."""

    def __init__(self) -> None:
        self._last = ""

    def update(self, text: str) -> None:
        """Print the text if it is new."""
        if text != self._last:
            note(text)
            self._last = text


class Live:
    """A line that changes in place."""

    def __init__(self, status: Any) -> None:
        self._status, self._began = status, clock.now()

    def update(self, text: str) -> None:
        """Show the text, and how long it has taken so far."""
        from rich.text import Text

        self._status.update(
            Text(f"{one_line(text)} ({clock.now() - self._began:.0f} s; Ctrl-C leaves it waiting)")
        )


@contextmanager
def stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Let the signals with which CI systems end a job do what Ctrl-C does; yield what says whether one has come.

    A signal that is ignored when the program starts stays ignored, as is the custom of Unix. Shells start jobs in
    the background so for SIGINT, and Jenkins starts all steps in the background. SIGTERM ends the command there.
    """
    was_stopped = False

    def stop(_: int, __: FrameType | None) -> None:
        # Only once: a CI system sends the signal to each process, and uvx passes it on. The second one must not
        # interrupt the command while it says how to go on.
        nonlocal was_stopped
        if not was_stopped:
            was_stopped = True
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in STOPS}
    heard = [number for number in STOPS if before[number] is not signal.SIG_IGN]
    try:
        for number in heard:
            signal.signal(number, stop)
        yield lambda: was_stopped
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_IGN if was_stopped else before[number])
