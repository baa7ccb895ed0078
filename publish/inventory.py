"""What wgrib2 says of a GRIB2 message: the text of a line of NCEP's `.idx` files.

The words are those of wgrib2's sources: names from its table gribtable.dat, the rest from Level.c,
ForecastTime.c, Ensemble.c and Prob.c.
"""

from publish.messages import Message

_NAMES = {
    (0, 0, 0): "TMP",
    (0, 1, 0): "SPFH",
    (0, 1, 8): "APCP",
    (0, 1, 51): "TCWAT",
    (0, 1, 64): "TCIWV",
    (0, 1, 83): "SCLLWC",
    (0, 1, 84): "SCLIWC",
    (0, 2, 1): "WIND",
    (0, 2, 2): "UGRD",
    (0, 2, 3): "VGRD",
    (0, 2, 12): "RELV",
    (0, 2, 13): "RELD",
    (0, 3, 0): "PRES",
    (0, 3, 4): "GP",
    (0, 3, 5): "HGT",
    (0, 3, 12): "THICK",
}
"""By discipline, category and number."""

_LOCAL = range(192, 255)
_LEVELS = {(1, 255): "surface", (1, 8): "atmos col", (10, 255): "entire atmosphere", (101, 255): "mean sea level"}
"""By first and second fixed surface (code table 4.5), where there is no value to tell."""
_ISOBARIC = 100

_CONTROLS = {0: "hi-res ctl", 1: "low-res ctl"}
_DERIVED = {0: "ens mean", 4: "ens spread", 8: "min all members", 9: "max all members"}
_PROCESSES = {0: "ave", 1: "acc", 2: "max", 3: "min"}
"""By code tables 4.6, 4.7 and 4.10."""
_LOWER, _UPPER = 38, 43
_EVENTS = {
    0: [("<", _LOWER)],
    1: [(">", _UPPER)],
    2: [(">=", _LOWER), ("<", _UPPER)],
    3: [(">", _LOWER)],
    4: [("<", _UPPER)],
}
"""Signs and the octets of the limits, by code table 4.9."""


def text(message: Message) -> str:
    """The part of a line after number and offset, such as d=2026112106:TMP:500 mb:24 hour fcst:ENS=+1."""
    begin = f"d={message.reference_time:%Y%m%d%H}"
    return ":".join([begin, _name(message), _level(message), _time(message), *_ensemble(message)])


def limits(message: Message) -> str:
    """The event of a probability: >15, <273.15 or >=1 <5, in the field's units."""
    return " ".join(f"{sign}{message.scaled(place):g}" for sign, place in _EVENTS[message.octet(37)])


def _name(message: Message) -> str:
    if message.parameter in _NAMES:
        return _NAMES[message.parameter]
    discipline, category, number = message.parameter
    local = number in _LOCAL or category in _LOCAL or discipline in _LOCAL
    table = (
        f"center={message.centre} local_table={message.local_tables_version}"
        if local
        else f"master_table={message.tables_version}"
    )
    return f"var discipline={discipline} {table} parmcat={category} parm={number}"


def _level(message: Message) -> str:
    first, second = message.surfaces
    if first.type == _ISOBARIC:
        values = [surface.value / 100 for surface in (first, second) if surface.value is not None]
        return "-".join(f"{value:g}" for value in values) + " mb"
    return _LEVELS.get((first.type, second.type), f"level type {first.type}")


def _time(message: Message) -> str:
    begin, end = message.hours
    if message.process is None:
        return f"{end} hour fcst" if end else "anl"
    hours, unit = (24, "day") if begin % 24 == end % 24 == 0 else (1, "hour")
    return f"{begin // hours}-{end // hours} {unit} {_PROCESSES[message.process]} fcst"


def _ensemble(message: Message) -> list[str]:
    match message.template:
        case 1:
            return ["ENS=" + _CONTROLS.get(message.octet(35), f"+{message.octet(36)}")]
        case 2:
            return [_DERIVED[message.octet(35)]]
        case 5:
            return [f"prob {limits(message)}", f"prob fcst {message.octet(35)}/{message.octet(36)}"]
        case _:
            return [f"{message.octet(35)}% level"]
