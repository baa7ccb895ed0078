"""Cycles, lead times and valid times. All datetimes are aware and in UTC."""

from datetime import UTC, datetime, timedelta

CYCLE_HOURS = (0, 6, 12, 18)


def require_utc(moment: datetime) -> datetime:
    """The same moment, or ValueError when it carries no UTC offset of zero."""
    if moment.tzinfo is None or moment.utcoffset() != timedelta(0):
        raise ValueError(f"expected an aware datetime in UTC, got {moment!r}")
    return moment.astimezone(UTC)


def parse_cycle(text: str) -> datetime:
    """A cycle from text such as 2026-11-21T06, 2026-11-21T06:00Z or 2026112106.

    Raises ValueError when the text is no time or the hour is not 00, 06, 12 or 18 UTC.
    """
    moment = _parse_time(text)
    if moment.hour not in CYCLE_HOURS or (moment.minute, moment.second, moment.microsecond) != (0, 0, 0):
        raise ValueError(f"a cycle starts at 00, 06, 12 or 18 UTC, got {text!r}")
    return moment


def _parse_time(text: str) -> datetime:
    if len(text) == 10 and text.isdigit():
        return datetime.strptime(text, "%Y%m%d%H").replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a cycle such as 2026-11-21T06 or 2026112106, got {text!r}") from None
    return require_utc(moment) if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_cycle(init_time: datetime) -> str:
    """Compact name of a cycle, as used in paths: 20261121T06."""
    return require_utc(init_time).strftime("%Y%m%dT%H")


def valid_time(init_time: datetime, lead_time: timedelta) -> datetime:
    """The time a forecast is for."""
    return require_utc(init_time) + lead_time


def lead_hours(lead_time: timedelta) -> int:
    """Lead time in whole hours; ValueError when it is none."""
    hours, rest = divmod(lead_time, timedelta(hours=1))
    if rest:
        raise ValueError(f"expected a lead time of whole hours, got {lead_time}")
    return hours
