"""Time and price of a promotion at each memory size, calculated from the processor time that was measured.

Lambda gives a function one processor at 1,769 MB, and a proportional share at other sizes (Lambda developer guide,
"Configure Lambda function memory"). The time in which a function waits for AWS is the same at any size, and is
billed too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import cold
from bench.cold import Cold

SIZES = (128, 256, 512, 1024, 1769)  # MB
PROCESSOR = 1769  # MB
CALLS, CALL = 6, 15  # calls of a promotion by event, and the milliseconds of each that are assumed
GB_SECOND, MILLION = 0.0000133334, 0.20  # dollars, list prices of Lambda on arm64


@dataclass(frozen=True)
class Size:
    """Milliseconds of the first and of each further promotion, and dollars for a million further ones."""

    megabytes: int
    first: float
    further: float
    dollars: float


def sizes(measured: Cold) -> Sequence[Size]:
    """Return the figures for every size in SIZES."""
    _, warm, _ = measured.warm
    start = measured.cpu[cold.EVENT].median
    return [size(megabytes, start=start, warm=warm) for megabytes in SIZES]


def size(megabytes: int, *, start: float, warm: float) -> Size:
    """Return the figures for one size; `start` and `warm` are milliseconds of processor time."""
    slower = max(1.0, PROCESSOR / megabytes)
    waited = CALLS * CALL
    further = warm * slower + waited
    dollars = further * 1000 * megabytes / 1024 * GB_SECOND + MILLION
    return Size(megabytes, start * slower + waited, further, dollars)
