"""The queue that events come from: retries, and dead letters with their cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from promoter.domain.errors import PromoterError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class DeadLetterQueue:
    """An SQS queue at `url` for what a person has to look at. Each message has its cause as attributes."""

    def __init__(self, client: SQSClient, *, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, body: str, attributes: Mapping[str, str]) -> None:
        """Send a message. Attributes without a text are left out."""
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": _plain(text)}
                for name, text in attributes.items()
                if text
            },
        )


class EventQueue:
    """An SQS queue at `url` whose messages get so many `tries`, and its dead-letter queue at `failed_url`.

    SQS itself moves a message there that was received too often, for example after time-outs. It cannot say why
    (SQS developer guide, "Using dead-letter queues in Amazon SQS").
    """

    def __init__(self, client: SQSClient, *, url: str, failed_url: str, tries: int, retry: timedelta) -> None:
        self._client = client
        self._url = url
        self._failed = DeadLetterQueue(client, url=failed_url)
        self._tries = tries
        self._retry = retry

    def retry_or_dead_letter(self, message: dict[str, Any], error: Exception) -> bool:
        """Have a message tried again soon. After the last try send it to the dead letters, and return True.

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
        self._failed.put(message["body"], {"ERROR_CODE": code, "ERROR_MESSAGE": str(error) or code})
        return True

    def add(self, bodies: Iterable[str], *, later: bool = False, seconds: int = 0) -> None:
        """Put messages into the queue, to be tried after so many seconds, 900 at most.

        `later`: when a message that failed would be.
        """
        for body in bodies:
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                DelaySeconds=int(self._retry.total_seconds()) if later else seconds,
            )


def _plain(text: str) -> str:
    """Return what SQS takes of a text: characters that can be printed, and not too many (SendMessage)."""
    return "".join(letter if letter.isprintable() or letter in "\t\n\r" else "\ufffd" for letter in text[:1000])
