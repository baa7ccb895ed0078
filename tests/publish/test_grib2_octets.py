"""Section 4 octet by octet, as WMO-No. 306 lays out its templates, read without any GRIB library."""

import struct
from pathlib import Path

import numpy as np
import pytest

from publish.events import Event, ProductError
from publish.product import ProductSettings
from tests.publish.conftest import encode_frame
from tests.publish.frames import make_frame, with_net_precipitation

MISSING_1, MISSING_4 = 255, 2**32 - 1
COMMON = "category number process background generating cutoff_hours cutoff_minutes unit forecast_time"
COMMON += " surface_1 factor_1 value_1 surface_2 factor_2 value_2"
COMMON_LAYOUT = "BBBBBHBBIBBIBBI"
INTERVAL = "year month day hour minute second ranges missing statistic increment_type unit_of_range range"
INTERVAL += " unit_of_increment increment"
INTERVAL_LAYOUT = "HBBBBBBIBBBIBI"
OWN = {
    1: ("ensemble_type perturbation size", "BBB"),
    2: ("derived size", "BB"),
    5: ("probability_number probabilities probability_type factor_low low factor_high high", "BBBBIBI"),
    6: ("percentile", "B"),
}
LENGTHS = {1: 37, 2: 36, 5: 47, 6: 35, 9: 71, 10: 59, 11: 61, 12: 60}
"""Octets of section 4 with each template."""
INSTANT_OF = {9: 5, 10: 6, 11: 1, 12: 2}


def sections(path: Path) -> list[dict[int, bytes]]:
    """The sections of every message of a file."""
    content, found = path.read_bytes(), []
    while content:
        assert content[:4] == b"GRIB" and content[7] == 2
        length = struct.unpack(">Q", content[8:16])[0]
        message, content = content[:length], content[length:]
        assert message[-4:] == b"7777"
        position, parts = 16, {0: message[:16]}
        while message[position : position + 4] != b"7777":
            size, number = struct.unpack_from(">IB", message, position)
            parts[number] = message[position : position + size]
            position += size
        found.append(parts)
    return found


def product(section: bytes) -> dict[str, int]:
    """Section 4 by name; every octet is accounted for."""
    length, number, coordinates, template = struct.unpack_from(">IBHH", section)
    assert (length, number, coordinates) == (LENGTHS[template], 4, 0)
    names, layout = OWN[INSTANT_OF.get(template, template)]
    names, layout = f"{COMMON} {names}", COMMON_LAYOUT + layout
    if template in INSTANT_OF:
        names, layout = f"{names} {INTERVAL}", layout + INTERVAL_LAYOUT
    values = struct.unpack(f">{layout}", section[9:])
    return {"template": template, **dict(zip(names.split(), values, strict=True))}


class Samples:
    """Fields over intervals that rise from member to member."""

    increment_hours = 6

    def over(self, item, frame) -> np.ndarray:
        shape = frame.data["surface_air_pressure"].transpose("member", "longitude", "latitude").shape
        return np.ones(shape, np.float32) * np.arange(shape[0], dtype=np.float32)[:, None, None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[int, bytes]]]:
    """All messages of one lead time, 30 h, by the kind of file."""
    chosen = ProductSettings(
        levels=(850,),
        fields=("air_temperature", "precipitation_minus_evaporation", "thickness_1000_500"),
        statistics=("mean", "spread", "min", "max", "p10", "p90"),
        windows=("air_temperature@850/24h max", "precipitation_minus_evaporation/12h sum"),
        probabilities=("air_temperature@850<273.15", "air_temperature@850>300/24h max"),
        formats=("grib2",),
        generating_process=7,
        places=(),
    )
    frame = with_net_precipitation(make_frame(30))
    encoded = encode_frame(frame, chosen, tmp_path_factory.mktemp("octets"), run_lead_hours=(30,), past=Samples())
    return {kind: sections(file.path) for (_, kind), file in encoded.items()}


TEMPERATURE = {
    "category": 0,
    "number": 0,
    "process": 4,
    "background": MISSING_1,
    "generating": 7,
    "cutoff_hours": 2**16 - 1,
    "cutoff_minutes": MISSING_1,
    "unit": 1,
    "forecast_time": 30,
    "surface_1": 100,
    "factor_1": 0,
    "value_1": 85_000,
    "surface_2": MISSING_1,
    "factor_2": MISSING_1,
    "value_2": MISSING_4,
}
"""Temperature at 850 hPa, 30 h after the analysis."""

LAST_DAY = {
    "forecast_time": 6,
    "year": 1959,
    "month": 1,
    "day": 3,
    "hour": 6,
    "minute": 0,
    "second": 0,
    "ranges": 1,
    "missing": 0,
    "statistic": 2,
    "increment_type": 2,
    "unit_of_range": 1,
    "range": 24,
    "unit_of_increment": 1,
    "increment": 6,
}
"""The maximum over the 24 hours that end 30 h after 1959-01-02 00 UTC, of values six hours apart."""

BELOW_FREEZING = {
    "probability_number": 0,
    "probabilities": 1,
    "probability_type": 0,
    "factor_low": 2,
    "low": 27_315,
    "factor_high": MISSING_1,
    "high": MISSING_4,
}
HOT = BELOW_FREEZING | {"probability_type": 3, "factor_low": 0, "low": 300}


@pytest.mark.parametrize(
    ("kind", "template", "own"),
    [
        ("control", 1, {"ensemble_type": 1, "perturbation": 0, "size": 4}),
        ("mean", 2, {"derived": 0, "size": 4}),
        ("spread", 2, {"derived": 4, "size": 4}),
        ("min", 2, {"derived": 8, "size": 4}),
        ("max", 2, {"derived": 9, "size": 4}),
        ("p10", 6, {"percentile": 10}),
        ("p90", 6, {"percentile": 90}),
        ("probability-t850-below-273p15", 5, BELOW_FREEZING),
    ],
)
def test_templates_of_a_point_in_time(files, kind: str, template: int, own: dict):
    assert product(files[kind][0][4]) == {"template": template, **TEMPERATURE, **own}


@pytest.mark.parametrize(
    ("kind", "template", "own"),
    [
        ("control-24h-max", 11, {"ensemble_type": 1, "perturbation": 0, "size": 4}),
        ("mean-24h-max", 12, {"derived": 0, "size": 4}),
        ("spread-24h-max", 12, {"derived": 4, "size": 4}),
        ("p10-24h-max", 10, {"percentile": 10}),
        ("probability-t850-24h-max-above-300", 9, HOT),
    ],
)
def test_templates_of_an_interval(files, kind: str, template: int, own: dict):
    (message,) = files[kind]
    assert product(message[4]) == {"template": template, **TEMPERATURE, **own, **LAST_DAY}


def test_members_differ_in_number_and_kind_alone(files):
    found = [product(message[4]) for message in files["members"] if product(message[4])["category"] == 0]
    assert [(each["perturbation"], each["ensemble_type"]) for each in found] == [(0, 1), (1, 3), (2, 3), (3, 3)]
    same = {"perturbation": 0, "ensemble_type": 0}
    assert all(each | same == found[0] | same for each in found)


@pytest.mark.parametrize(("kind", "begins", "length"), [("control", 0, 30), ("control-12h-sum", 18, 12)])
def test_what_is_accumulated_says_from_when_to_when_and_that_it_never_ceased(
    files, kind: str, begins: int, length: int
):
    net = next(each for message in files[kind] if (each := product(message[4]))["number"] == 230)
    assert (net["template"], net["category"], net["surface_1"], net["value_1"]) == (11, 1, 1, MISSING_4)
    assert (net["forecast_time"], net["range"], net["statistic"]) == (begins, length, 1)
    assert (net["increment"], net["unit_of_increment"]) == (0, MISSING_1)
    assert (net["day"], net["hour"]) == (3, 6)


def test_a_parameter_of_our_own_says_that_local_tables_are_used(files):
    for message in files["control"]:
        assert (message[1][10] == 1) == (product(message[4])["number"] == 230)


def test_a_thickness_lies_between_two_levels(files):
    thick = next(each for message in files["mean"] if (each := product(message[4]))["number"] == 12)
    assert [thick[name] for name in ("surface_1", "factor_1", "value_1")] == [100, 0, 50_000]
    assert [thick[name] for name in ("surface_2", "factor_2", "value_2")] == [100, 0, 100_000]


def test_sections_say_whose_of_when_and_what_sort(files):
    types = {"members": 1, "mean": 5, "p10": 5, "probability-t850-below-273p15": 8}
    for kind, expected in types.items():
        centre, sub, tables, local, significance, *time, status, sort = struct.unpack(
            ">HHBBBHBBBBBBB", files[kind][0][1][5:]
        )
        assert (centre, sub, tables, local, significance) == (255, 0, 32, 0, 1)
        assert (time, status, sort) == ([1959, 1, 2, 0, 0, 0], 2, expected)


def test_the_grid_goes_from_the_north_pole_to_the_south_and_eastward(files):
    section = files["mean"][0][3]
    _, _, source, points, _, _, template, shape = struct.unpack_from(">IBBIBBHB", section)
    assert (source, points, template, shape) == (0, 72 * 37, 0, 6)
    columns, rows, basic, subdivisions, north, west = struct.unpack_from(">IIIIII", section, 30)
    assert (columns, rows, basic, subdivisions, north, west) == (72, 37, 0, MISSING_4, 90_000_000, 0)
    flags, south, east, along, down, scanning = struct.unpack_from(">BIIIIB", section, 54)
    assert (flags, south, east) == (48, 2**31 + 90_000_000, 355_000_000)
    assert (along, down, scanning, len(section)) == (5_000_000, 5_000_000, 0, 72)


@pytest.mark.parametrize(
    ("threshold", "scaled"),
    [
        (273.15, (2, 27315)),
        (0.0001, (4, 1)),
        (98000.0, (0, 98000)),
        (-2.5e-5, (6, -25)),
        (0.0, (0, 0)),
        (15.0, (0, 15)),
    ],
)
def test_a_threshold_is_scaled_without_loss(threshold: float, scaled: tuple[int, int]):
    factor, value = Event("air_temperature", 850, ">", threshold).scaled_threshold
    assert (factor, value) == scaled
    assert value / 10**factor == threshold


@pytest.mark.parametrize("threshold", [1 / 3, 1e12, 1.23456789012e-4, 1e-200, float("inf"), float("nan")])
def test_a_threshold_that_grib_cannot_hold_is_refused(threshold: float):
    with pytest.raises(ProductError, match="nine digits"):
        Event("air_temperature", 850, ">", threshold)
