"""Sidecars: each line says of its octets what ecCodes finds in them."""

import json
from pathlib import Path
from typing import Any

import eccodes
import numpy as np
import pytest

from publish import index, inventory, messages
from publish.writers import EncodedFile, WriterError

Files = dict[tuple[str, str], EncodedFile]

TYPES = {("oper", 1): "fc", ("enfo", 1): "cf", ("enfo", 3): "pf"}
DERIVED = {0: "em", 4: "es"}


def indexed(file: EncodedFile) -> tuple[list[dict[str, Any]], list[str]]:
    ecmwf, ncep = index.sidecars(file, "sigmacast")
    return [json.loads(line) for line in ecmwf.path.read_text().splitlines()], ncep.path.read_text().splitlines()


def made(**keys: int) -> bytes:
    """A message with these keys, on a small grid, for lead time 24 h."""
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    shape = {"Ni": 4, "Nj": 3, "dataDate": 20261121, "dataTime": 600, "indicatorOfUnitForForecastTime": 1}
    for name, value in (shape | keys).items():
        eccodes.codes_set(handle, name, value)
    eccodes.codes_set_values(handle, np.arange(12.0))
    message = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return message


def as_file(directory: Path, *contents: bytes) -> EncodedFile:
    path = directory / "20261121060000-24h-enfo-ep.grib2"
    path.write_bytes(b"".join(contents))
    return EncodedFile(f"20261121/06z/sigmacast/2p5/enfo/{path.name}", path, "kind", "type", (0, 1))


@pytest.mark.parametrize("kind", ["control", "members", "mean", "spread"])
def test_every_line_tells_what_ecCodes_finds_in_the_octets_that_it_points_to(kind: str, encoded: Files):
    file = encoded[".grib2", kind]
    content, stream = file.path.read_bytes(), "oper" if kind == "control" else "enfo"
    lines, _ = indexed(file)
    end = 0
    for line in lines:
        assert line["_offset"] == end
        end += line["_length"]
        handle = eccodes.codes_new_from_message(content[line["_offset"] : end])
        get = lambda key, handle=handle: eccodes.codes_get(handle, key)  # noqa: E731
        number = get("perturbationNumber") if kind in ("control", "members") else 0
        expected = {"number": str(number)} if number else {}
        if get("typeOfLevel") == "isobaricInhPa":
            expected |= {"levtype": "pl", "levelist": str(get("level"))}
        else:
            expected |= {"levtype": "sfc"}
        derived = kind in ("mean", "spread")
        file_type = DERIVED[get("derivedForecast")] if derived else TYPES[stream, get("typeOfEnsembleForecast")]
        expected |= {"domain": "g", "expver": "0001", "class": "ai", "stream": stream, "model": "sigmacast"}
        expected |= {"date": str(get("dataDate")), "time": f"{get('dataTime'):04d}", "step": str(get("endStep"))}
        expected |= {"param": get("shortName"), "type": file_type}
        eccodes.codes_release(handle)
        assert {key: value for key, value in line.items() if not key.startswith("_")} == expected
    assert end == len(content)


def test_keys_stand_in_ecmwfs_order(encoded: Files):
    lines, _ = indexed(encoded[".grib2", "members"])
    on_level = next(line for line in lines if line["type"] == "pf" and line["levtype"] == "pl")
    order = "domain date time expver class type stream step levtype levelist number param model _offset _length"
    assert list(on_level) == order.split()


def test_the_inventory_has_the_lines_of_wgrib2(encoded: Files):
    _, lines = indexed(encoded[".grib2", "members"])
    assert lines[0] == "1:0:d=1959010200:HGT:50 mb:6 hour fcst:ENS=low-res ctl"
    texts = {line.split(":", 2)[2] for line in lines}
    assert {
        "d=1959010200:TMP:500 mb:6 hour fcst:ENS=+3",
        "d=1959010200:PRES:mean sea level:6 hour fcst:ENS=+1",
        "d=1959010200:PRES:surface:6 hour fcst:ENS=low-res ctl",
        "d=1959010200:TCIWV:atmos col:6 hour fcst:ENS=+2",
    } <= texts
    _, lines = indexed(encoded[".grib2", "spread"])
    assert lines[-1].endswith("d=1959010200:THICK:500-1000 mb:6 hour fcst:ens spread")


@pytest.mark.parametrize("kind", ["control", "members", "mean", "spread"])
def test_sidecars_lie_beside_their_file(kind: str, encoded: Files):
    file = encoded[".grib2", kind]
    ecmwf, ncep = index.sidecars(file, "sigmacast")
    assert (ecmwf.key, ncep.key) == (file.key.replace(".grib2", ".index"), file.key.replace(".grib2", ".idx"))
    assert ecmwf.members == file.members


def test_a_file_of_another_format_has_none(encoded: Files):
    assert index.sidecars(encoded[".nc", "members"], "sigmacast") == []


WIND_ABOVE_15 = {
    "productDefinitionTemplateNumber": 5,
    "forecastTime": 24,
    "parameterCategory": 2,
    "parameterNumber": 1,
    "typeOfFirstFixedSurface": 100,
    "scaledValueOfFirstFixedSurface": 85000,
    "scaleFactorOfFirstFixedSurface": 0,
    "forecastProbabilityNumber": 2,
    "totalNumberOfForecastProbabilities": 7,
    "probabilityType": 3,
    "scaleFactorOfLowerLimit": 1,
    "scaledValueOfLowerLimit": 155,
}
FREEZING = {"parameterCategory": 0, "parameterNumber": 0, "probabilityType": 0}
FREEZING |= {"scaleFactorOfLowerLimit": 2, "scaledValueOfLowerLimit": 27315}
MEDIAN = {"productDefinitionTemplateNumber": 6, "forecastTime": 24, "percentileValue": 50, "parameterCategory": 0}
LARGEST = {"productDefinitionTemplateNumber": 12, "forecastTime": 0, "derivedForecast": 9, "parameterCategory": 2}
LARGEST |= {"typeOfStatisticalProcessing": 2, "lengthOfTimeRange": 24, "indicatorOfUnitForTimeRange": 1}
RAIN = {"productDefinitionTemplateNumber": 11, "forecastTime": 18, "parameterCategory": 1, "parameterNumber": 8}
RAIN |= {"typeOfStatisticalProcessing": 1, "lengthOfTimeRange": 6, "indicatorOfUnitForTimeRange": 1}
RAIN |= {"typeOfEnsembleForecast": 3, "perturbationNumber": 2}


def test_probabilities_percentiles_extremes_and_intervals_are_told_apart(tmp_path: Path):
    contents = [made(**keys) for keys in (WIND_ABOVE_15, WIND_ABOVE_15 | FREEZING, MEDIAN, LARGEST, RAIN)]
    lines, texts = indexed(as_file(tmp_path, *contents))
    wanted = ("type", "step", "stepRange", "levelist", "number", "threshold", "quantile")
    assert [{key: line[key] for key in wanted if key in line} for line in lines] == [
        {"type": "ep", "step": "24", "levelist": "850", "threshold": ">15.5"},
        {"type": "ep", "step": "24", "levelist": "850", "threshold": "<273.15"},
        {"type": "pb", "step": "24", "quantile": "50:100"},
        {"type": "max", "step": "24", "stepRange": "0-24"},
        {"type": "pf", "step": "24", "stepRange": "18-24", "number": "2"},
    ]
    assert [text.split(":", 2)[2].removeprefix("d=2026112106:") for text in texts] == [
        "WIND:850 mb:24 hour fcst:prob >15.5:prob fcst 2/7",
        "TMP:850 mb:24 hour fcst:prob <273.15:prob fcst 2/7",
        "TMP:surface:24 hour fcst:50% level",
        "var discipline=0 master_table=4 parmcat=2 parm=0:surface:0-1 day max fcst:max all members",
        "APCP:surface:18-24 hour acc fcst:ENS=+2",
    ]


def test_names_unknown_to_wgrib2_are_told_as_wgrib2_does(tmp_path: Path):
    local = made(**MEDIAN | {"parameterCategory": 1, "parameterNumber": 192, "forecastTime": 0})
    (message,) = messages.read(as_file(tmp_path, local).path)
    name = "var discipline=0 center=98 local_table=0 parmcat=1 parm=192"
    assert inventory.text(message) == f"d=2026112106:{name}:surface:anl:50% level"


def test_values_below_zero_are_read_with_their_sign(tmp_path: Path):
    frost = WIND_ABOVE_15 | FREEZING | {"scaleFactorOfLowerLimit": -1, "scaledValueOfLowerLimit": -3}
    lines, _ = indexed(as_file(tmp_path, made(**frost)))
    assert lines[0]["threshold"] == "<-30"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda content: content[:-1], "does not end after"),
        (lambda content: content + b"GRIB", "at octet"),
        (lambda content: b"\0" * 16 + content, "expected a GRIB2 message at octet 0"),
    ],
)
def test_octets_that_belong_to_no_message_are_refused(fault: Any, told: str, tmp_path: Path):
    file = as_file(tmp_path, fault(made(**MEDIAN)))
    with pytest.raises(WriterError, match=told):
        index.sidecars(file, "sigmacast")


def test_a_product_of_no_ensemble_is_refused(tmp_path: Path):
    file = as_file(tmp_path, made(productDefinitionTemplateNumber=0, forecastTime=24))
    with pytest.raises(WriterError, match=r"product definition template 4\.0"):
        index.sidecars(file, "sigmacast")
