"""Times, spans and sizes as the pages say them. All times are UTC."""

from datetime import datetime, timedelta

MINUTE, HOUR, DAY = 60, 3600, 86400


def cycle(init_time: datetime) -> str:
    """2026-11-21 06 UTC."""
    return f"{init_time:%Y-%m-%d %H} UTC"


def day_and_cycle(init_time: datetime) -> str:
    """Sat 21 Nov, 06 UTC."""
    return f"{init_time:%a} {init_time.day} {init_time:%b, %H} UTC"


def moment(at: datetime) -> str:
    """2026-11-21 06:41 UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def exact(at: datetime) -> str:
    """2026-11-21 06:41:07."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def iso(at: datetime) -> str:
    """2026-11-21T06:41:07Z, for programs."""
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def span(length: timedelta | float) -> str:
    """A length of time [s if a number] in its two largest units: 2 d 4 h, 1 h 05 min, 12 min, 40 s."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < MINUTE:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == round(seconds) else f"{seconds:.1f} s"
    if seconds < 10 * MINUTE:
        minutes, rest = divmod(round(seconds), MINUTE)
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    minutes = round(seconds / MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / HOUR)
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def coarse(length: timedelta) -> str:
    """A length of time to the minute, as the countdowns say it before a browser makes them tick."""
    seconds = abs(length.total_seconds())
    return "less than a minute" if seconds < MINUTE else span(timedelta(minutes=seconds // MINUTE))


def counted(at: datetime, now: datetime, kind: str = "towards") -> str:
    """How far a moment is, as its countdown begins: `towards`: in 1 h 12 min, or 12 min ago; `expected`: in 1 h 12 min,
    or overdue by 12 min; `left`: 12 min, or none.
    """
    ahead, length = at > now, coarse(at - now)
    if kind == "left":
        return length if ahead else "none"
    if ahead:
        return f"in {length}"
    return f"overdue by {length}" if kind == "expected" else f"{length} ago"


def after(init_time: datetime, at: datetime) -> str:
    """How long after its cycle something was: T + 5 h 12 min."""
    return f"T + {coarse(at - init_time)}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """1 member, 4 members."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", "\u202f")
