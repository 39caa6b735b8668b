"""The queue that events come from: when one comes again, and where it lies in the end, with its cause."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from promoter.errors import PromoterError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class EventQueue:
    """An SQS queue at `url` whose messages are tried so often, and its dead-letter queue at `failed_url`.

    The queue itself sends there what was received too often, as after time-outs, but cannot say why (SQS developer
    guide, "Using dead-letter queues in Amazon SQS").
    """

    def __init__(self, client: SQSClient, *, url: str, failed_url: str, tries: int, retry: timedelta) -> None:
        self._client = client
        self._url = url
        self._failed_url = failed_url
        self._tries = tries
        self._retry = retry

    def hand_back(self, message: dict[str, Any], error: Exception) -> bool:
        """Have a message tried again soon; after the last try put it away with its cause, and return True.

        `message` is a record of Lambda's (developer guide, "Using Lambda with Amazon SQS"). SQS's errors are
        raised: the message then comes again when its visibility time-out is over.
        """
        if int(message["attributes"]["ApproximateReceiveCount"]) < self._tries:
            self._client.change_message_visibility(
                QueueUrl=self._url,
                ReceiptHandle=message["receiptHandle"],
                VisibilityTimeout=int(self._retry.total_seconds()),
            )
            return False
        code = error.code if isinstance(error, PromoterError) else type(error).__name__
        cause = {"ERROR_CODE": code, "ERROR_MESSAGE": str(error)[:1000] or code}
        self._client.send_message(
            QueueUrl=self._failed_url,
            MessageBody=message["body"],
            MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in cause.items()},
        )
        return True
