"""What the real adapters are built with."""

from __future__ import annotations

from botocore.retries.standard import ExponentialBackoff, RetryContext

from promoter.wiring import CLIENT, LONGEST_CALL


def test_the_longest_call_is_as_long_as_its_tries_and_pauses() -> None:
    """A lease is trusted to outlast the put that it lets begin: the figure has to be the SDK's."""
    tries = CLIENT.retries["total_max_attempts"]  # type: ignore[attr-defined]
    backoff = ExponentialBackoff(random=lambda: 1.0)
    pauses = [backoff.delay_amount(RetryContext(attempt_number=number)) for number in range(1, tries)]
    one_try = CLIENT.connect_timeout + CLIENT.read_timeout  # type: ignore[attr-defined]

    assert LONGEST_CALL.total_seconds() >= tries * one_try + sum(pauses)
