"""Events that take several invocations, and Lambda's detection of loops."""

from __future__ import annotations

from tests.infra.conftest import Template, functions


def test_lambda_does_not_stop_an_event_that_takes_many_invocations(template: Template) -> None:
    """The promoter sends the rest of an event to the queue that invokes it, which Lambda detects as a loop.

    Lambda would stop it after about 16 invocations (AWS Lambda developer guide, "Use Lambda recursive loop
    detection to prevent infinite loops"; boto3 passes the trace on with the message). The promoter's loop ends by
    itself, because each message has less to do. The other functions do not invoke themselves.
    """
    found = {name: function.get("RecursiveLoop", "Terminate") for name, function in functions(template).items()}

    assert found == {
        "lambda_handler": "Allow",
        "reconcile_handler": "Terminate",
        "announce_handler": "Terminate",
    }
