"""What Lambda would do to an event that is carried out in parts."""

from __future__ import annotations

from tests.infra.conftest import Template
from tests.infra.test_stack import functions


def test_lambda_does_not_stop_an_event_that_takes_many_invocations(template: Template) -> None:
    """The promoter sends what is left of an event to the queue that invokes it. Lambda takes that for a loop.

    It ends it after about 16 invocations, whatever is left (AWS Lambda developer guide, "Use Lambda recursive loop
    detection to prevent infinite loops"; boto3 hands the trace on with the message). Ours has an end: each
    message asks for less. The others call nobody who calls them.
    """
    found = {name: function.get("RecursiveLoop", "Terminate") for name, function in functions(template).items()}

    assert found == {
        "lambda_handler": "Allow",
        "reconcile_handler": "Terminate",
        "announce_handler": "Terminate",
    }
