"""One promotion as the callers see it: carried out, timed, logged and counted."""

from __future__ import annotations

import time

from promoter import telemetry, wiring
from promoter.errors import PromoterError
from promoter.model import Promoted, Promotion
from promoter.promote import promote


def attempt(wish: Promotion) -> Promoted | PromoterError:
    """Promote, report, and return the answer or the reason there is none."""
    start = time.monotonic()
    answer: Promoted | PromoterError
    try:
        answer = promote(wish, policy=wiring.policy(), registry=wiring.registry())
    except PromoterError as error:
        answer = error
    telemetry.report(wish, answer, milliseconds=(time.monotonic() - start) * 1000)
    return answer
