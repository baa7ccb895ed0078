"""Alerts are open once and told once; SQLite and PostgreSQL pass the same suite."""

from datetime import timedelta

import db
from db import alerts
from db.alerts import Owed, Turn
from tests.contracts.histories import NOW, in_parallel

MINUTE = timedelta(minutes=1)
CHANNELS = ["webhook", "mail"]


def raised(history, kind="late", subject="2026-11-21 06 UTC", now=NOW):
    with db.writing(history) as session:
        return alerts.raise_(session, kind, subject, "no products yet", now)


def resolved(history, kind="late", subject="2026-11-21 06 UTC", now=NOW):
    with db.writing(history) as session:
        return alerts.resolve(session, kind, subject, now)


def owed(history, since=NOW - MINUTE, channels=CHANNELS):
    with db.reading(history) as session:
        return [(one.turn.value, one.channel) for one in alerts.owed(session, channels, since)]


def claimed(history, each, now=NOW):
    with db.writing(history) as session:
        return alerts.claim(session, each, now, MINUTE)


def told(history, each, now=NOW):
    with db.writing(history) as session:
        alerts.told(session, each, CHANNELS, now)


def standing(history):
    with db.reading(history) as session:
        return list(alerts.standing(session))


def test_an_alert_is_open_once_per_kind_and_subject(history):
    assert raised(history) is not None
    assert raised(history) is None
    assert raised(history, subject="another") is not None
    assert raised(history, kind="failed") is not None
    assert len(standing(history)) == 3


def test_daemons_that_raise_at_once_open_one(history):
    opened = []
    in_parallel(lambda: opened.append(raised(history)), 8)
    assert sum(one is not None for one in opened) == 1
    assert len(opened) == 8 and len(standing(history)) == 1


def test_what_is_resolved_may_be_raised_again(history):
    raised(history)
    assert resolved(history) and not resolved(history)
    assert standing(history) == []
    assert raised(history, now=NOW + MINUTE) is not None
    with db.reading(history) as session:
        assert [one.resolved_at for one in alerts.latest(session)] == [None, NOW]


def test_each_channel_is_owed_each_turn_once(history):
    alert = raised(history)
    assert owed(history) == [("raised", "webhook"), ("raised", "mail")]
    for channel in CHANNELS:
        each = Owed(alert.id, Turn.RAISED, channel)
        assert claimed(history, each).message == "no products yet"
        told(history, each)
    assert owed(history) == [] and standing(history)[0].told_at == NOW
    resolved(history)
    assert owed(history) == [("resolved", "webhook"), ("resolved", "mail")]


def test_a_channel_that_is_away_is_still_owed_and_the_other_is_not(history):
    alert = raised(history)
    webhook, mail = (Owed(alert.id, Turn.RAISED, one) for one in CHANNELS)
    assert claimed(history, webhook) and claimed(history, mail)
    told(history, webhook)
    with db.writing(history) as session:
        alerts.not_told(session, mail, "the server is away", NOW, MINUTE, 9 * MINUTE)
    assert owed(history) == [("raised", "mail")] and standing(history)[0].told_at is None
    assert claimed(history, mail, NOW) is None
    assert claimed(history, mail, NOW + MINUTE)


def test_pauses_double_up_to_the_longest(history):
    alert = raised(history)
    each = Owed(alert.id, Turn.RAISED, "mail")
    assert claimed(history, each)
    for pause in (1, 2, 4, 8, 9, 9):
        with db.writing(history) as session:
            alerts.not_told(session, each, "the server is away", NOW, MINUTE, 9 * MINUTE)
        assert claimed(history, each, NOW + (pause - 0.1) * MINUTE) is None
        assert claimed(history, each, NOW + pause * MINUTE)


def test_one_of_many_daemons_tells(history):
    alert = raised(history)
    each, taken = Owed(alert.id, Turn.RAISED, "webhook"), []
    in_parallel(lambda: taken.append(claimed(history, each)), 8)
    assert sum(one is not None for one in taken) == 1 and len(taken) == 8


def test_a_notice_claimed_by_a_process_that_died_is_claimed_again_later(history):
    alert = raised(history)
    each = Owed(alert.id, Turn.RAISED, "webhook")
    assert claimed(history, each)
    assert claimed(history, each, NOW + 0.9 * MINUTE) is None
    assert claimed(history, each, NOW + MINUTE)
    told(history, each)
    assert claimed(history, each, NOW + 9 * MINUTE) is None


def test_what_was_resolved_long_ago_is_no_news(history):
    raised(history)
    resolved(history)
    assert owed(history, since=NOW + MINUTE) == []
    raised(history, now=NOW + MINUTE)
    assert owed(history, since=NOW + 9 * MINUTE) == [("raised", "webhook"), ("raised", "mail")]
