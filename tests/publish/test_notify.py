"""Notices: their shape, their signature, and a receiver that is not always there."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from publish.notify import SIGNATURE_HEADER, NotDelivered, Notice, Refused, Webhook, signature
from tests.publish.receiver import Receiver

AT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
NOTICE = Notice("forecasts", "run-1/T+24 h", "demo 2026-11-21 06 UTC T+24 h", {"run_id": "run-1", "lead_hours": 24}, AT)
SECRET = "correct horse"


def test_a_notice_has_the_shape_of_sns():
    document = json.loads(NOTICE.body())
    assert set(document) == {"Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp"}
    assert (document["Type"], document["TopicArn"]) == ("Notification", "forecasts")
    assert document["Timestamp"] == "2026-11-21T12:00:00.123Z"
    assert json.loads(document["Message"]) == {"run_id": "run-1", "lead_hours": 24}


def test_the_same_notice_has_the_same_id_and_another_has_another():
    other = Notice(NOTICE.topic, "run-1/T+30 h", NOTICE.subject, NOTICE.message, AT)
    assert NOTICE.body() == NOTICE.body()
    assert json.loads(other.body())["MessageId"] != json.loads(NOTICE.body())["MessageId"]


def test_the_signature_is_the_hmac_of_the_body():
    """Test case 2 of RFC 4231."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature(b"what do ya want for nothing?", "Jefe") == f"sha256={expected}"


def test_a_receiver_can_check_what_it_gets():
    with Receiver() as receiver:
        Webhook(receiver.url, SECRET, 5.0).deliver(NOTICE)
    (got,) = receiver.got
    assert got.body == NOTICE.body()
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["x-amz-sns-message-type"] == "Notification"
    known = hmac.new(SECRET.encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers[SIGNATURE_HEADER] == f"sha256={known}"


def test_without_a_secret_nothing_is_signed():
    with Receiver() as receiver:
        Webhook(receiver.url, None, 5.0).deliver(NOTICE)
    assert SIGNATURE_HEADER not in receiver.got[0].headers


@pytest.mark.parametrize("faults", [[503, 429, 500], ["cut", 503], [408]])
def test_a_receiver_in_trouble_gets_it_again(faults):
    with Receiver(faults) as receiver:
        Webhook(receiver.url, SECRET, 60.0, sleep=lambda _seconds: None).deliver(NOTICE)
    assert len(receiver.got) == len(faults) + 1
    assert len({got.body for got in receiver.got}) == 1


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410])
def test_a_refusal_is_final(status: int):
    with Receiver([status]) as receiver, pytest.raises(Refused, match=f"HTTP status {status}"):
        Webhook(receiver.url, SECRET, 60.0, sleep=lambda _seconds: None).deliver(NOTICE)
    assert len(receiver.got) == 1


def test_patience_ends_and_tells_neither_address_nor_secret():
    with Receiver([503] * 10_000) as receiver:
        address = f"{receiver.url}/token-0123"
        with pytest.raises(NotDelivered, match="HTTP status 503") as caught:
            Webhook(address, SECRET, 0.5).deliver(NOTICE)
    assert "token-0123" not in str(caught.value) and SECRET not in str(caught.value)
    with pytest.raises(NotDelivered, match="did not take a notice: ConnectionError") as caught:
        Webhook(address, SECRET, 0.2).deliver(NOTICE)
    assert "token-0123" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://example.org/t0ken", "t0ken", "https:///t0ken", "file:///t0ken"])
def test_what_is_no_webhook_is_refused_without_being_shown(url: str):
    with pytest.raises(ValueError, match="the address of a webhook such as") as caught:
        Webhook(url, None, 1.0)
    assert "t0ken" not in str(caught.value)
