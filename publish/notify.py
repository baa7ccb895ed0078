"""Telling others of what was published: messages in the shape of Amazon SNS, posted to a webhook and signed.

The signature is the HMAC-SHA256 of the body with a secret that both sides know (RFC 2104), in hexadecimal, in the
header X-Sigmacast-Signature. A message has the same id however often it is delivered.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from forecast.times import require_utc

SIGNATURE_HEADER = "X-Sigmacast-Signature"
TYPE_HEADER = "x-amz-sns-message-type"

_NAMESPACE = uuid.UUID("b7c6b9f4-3f0e-5c7e-9d43-52a0a4f3c1d7")
_TRY_AGAIN = frozenset({408, 425, 429})
_ATTEMPT_SECONDS = 10.0


class NotDelivered(RuntimeError):
    """Nobody took the message; try again later."""


class Refused(NotDelivered):
    """The receiver answered that it does not take the message; correct the address or the secret."""


@dataclass(frozen=True)
class Notice:
    """One message: `name` tells it apart from all others of the same topic, `message` is plain JSON."""

    topic: str
    name: str
    subject: str
    message: Mapping[str, Any]
    at: datetime

    def body(self) -> bytes:
        """The document that is posted; the same octets every time."""
        document = {
            "Type": "Notification",
            "MessageId": str(uuid.uuid5(_NAMESPACE, f"{self.topic}/{self.name}")),
            "TopicArn": self.topic,
            "Subject": self.subject,
            "Message": json.dumps(self.message, sort_keys=True),
            "Timestamp": require_utc(self.at).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return json.dumps(document).encode()


def signature(body: bytes, secret: str) -> str:
    """What the signature's header holds for this body."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class Webhook:
    """Where notices go. `seconds` bounds the delivery of one with all attempts; without a secret none is signed.

    Neither the address, which may hold a token, nor the secret is in any error.
    """

    def __init__(
        self, url: str, secret: str | None, seconds: float, sleep: Callable[[float], None] | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected the address of a webhook such as https://hooks.example.org/forecasts")
        self.host = parts.hostname
        self._url = url
        self._secret = secret
        self._seconds = seconds
        self._sleep = sleep

    def deliver(self, notice: Notice) -> None:
        """Post until the receiver takes it. Raises Refused at once, NotDelivered when the time is over."""
        body = notice.body()
        headers = {"Content-Type": "application/json", TYPE_HEADER: "Notification"}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(body, self._secret)
        patience: dict[str, Any] = {"sleep": self._sleep} if self._sleep else {}
        again = Retrying(
            stop=stop_after_delay(self._seconds),
            wait=wait_random_exponential(multiplier=0.2, max=10.0),
            retry=retry_if_exception(lambda error: isinstance(error, NotDelivered) and not isinstance(error, Refused)),
            reraise=True,
            **patience,
        )
        again(self._post, body, headers)

    def _post(self, body: bytes, headers: Mapping[str, str]) -> None:
        timeout = min(_ATTEMPT_SECONDS, self._seconds)
        try:
            answer = requests.post(self._url, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False)
        except requests.RequestException as error:
            raise NotDelivered(f"{self.host} did not take a notice: {type(error).__name__}") from None
        if answer.status_code in _TRY_AGAIN or answer.status_code >= 500:
            raise NotDelivered(f"{self.host} did not take a notice: HTTP status {answer.status_code}")
        if answer.status_code >= 300:
            raise Refused(f"{self.host} refuses a notice: HTTP status {answer.status_code}")
