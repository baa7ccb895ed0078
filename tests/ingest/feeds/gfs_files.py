"""The two files of a GFS analysis and their indices, as NCEP lays them out, on any grid.

Fields come from `tests.ingest.examples.state`; NCEP gives heights for geopotential, mixing ratios for cloud, and at
six levels relative for specific humidity.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import eccodes
import numpy as np

from tests.ingest import examples, saturation

GRAVITY = 9.80665
PGRB2_LEVELS = (
    1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 750, 800,
    850, 900, 925, 950, 975, 1000,
)  # fmt: skip
PGRB2B_LEVELS = (125, 175, 225, 775, 825, 875)
CYCLE = datetime(2023, 11, 4, 0, tzinfo=UTC)

SHORT_NAMES = {
    "HGT": "gh",
    "TMP": "t",
    "RH": "r",
    "SPFH": "q",
    "UGRD": "u",
    "VGRD": "v",
    "CLWMR": "clwmr",
    "CLMR": "clwmr",
    "ICMR": "icmr",
    "ABSV": "absv",
    "ICEC": "ci",
    "LAND": "lsm",
}


def relative_humidity(humidity, temperature, pressure):
    """Specific humidity over that of saturated air [%], from a formula of its own."""
    saturated = np.minimum(saturation.mixed(temperature), 0.5 * pressure)
    return 100.0 * humidity / (0.622 * saturated / (pressure - 0.378 * saturated))


@dataclass
class File:
    """A GRIB file and its index."""

    content: bytearray = field(default_factory=bytearray)
    lines: list[str] = field(default_factory=list)

    def add(self, parameter, level, message, cycle, time="anl"):
        """Append a field."""
        self.lines.append(f"{len(self.lines) + 1}:{len(self.content)}:d={cycle:%Y%m%d%H}:{parameter}:{level}:{time}:")
        self.content += message

    @property
    def index(self) -> bytes:
        return ("\n".join(self.lines) + "\n").encode()


@dataclass(frozen=True)
class Gfs:
    """A cycle of GFS: what to write, on which grid, spelled how, packed how."""

    cycle: datetime = CYCLE
    longitudes: np.ndarray = field(default_factory=lambda: examples.LONGITUDES)
    latitudes: np.ndarray = field(default_factory=lambda: examples.LATITUDES)
    cloud_water: str = "CLWMR"
    time: str = "anl"
    packing: str = "grid_complex_spatial_differencing"

    def files(self) -> dict[str, bytes]:
        """Content by key in the bucket."""
        state = examples.state(self.longitudes, self.latitudes)
        folder = f"gfs.{self.cycle:%Y%m%d}/{self.cycle:%H}/atmos/gfs.t{self.cycle:%H}z"
        files = {}
        for product, file in (("pgrb2", self._pgrb2(state)), ("pgrb2b", self._pgrb2b(state))):
            files[f"{folder}.{product}.0p25.f000"] = bytes(file.content)
            files[f"{folder}.{product}.0p25.f000.idx"] = file.index
        return files

    def _pgrb2(self, state) -> File:
        file = File()
        self._add(file, "TMP", 0, state["t", 1000], "mean sea level")
        self._add(file, "TMP", 1, state["t", 1], "0.4 mb")
        for level in PGRB2_LEVELS:
            humidity = self._humidity(state, level)
            values = {
                "HGT": state["z", level] / GRAVITY,
                "TMP": state["t", level],
                "RH": humidity,
                "SPFH": state["q", level],
                "UGRD": state["u", level],
                "VGRD": state["v", level],
                "ABSV": state["v", level] * 1e-6,
            }
            for parameter, field_values in values.items():
                self._add(file, parameter, level, field_values)
            if level >= 50 and level != 70:
                self._add_cloud(file, state, level)
        self._add(file, "TMP", 0, state["t", 1000], "30-0 mb above ground")
        self._add(file, "TMP", 0, state["skt", 0], "surface")
        self._add(file, "TMP", 0, state["t", 1000], "surface", "0-6 hour ave fcst")
        self._add(file, "LAND", 0, state["lsm", 0], "surface")
        self._add(file, "ICEC", 0, state["ci", 0], "surface")
        return file

    def _pgrb2b(self, state) -> File:
        file = File()
        for level in sorted((*PGRB2B_LEVELS, 70)):
            if level != 70:
                self._add(file, "HGT", level, state["z", level] / GRAVITY)
                self._add(file, "TMP", level, state["t", level])
                self._add(file, "RH", level, self._humidity(state, level))
                self._add(file, "UGRD", level, state["u", level])
                self._add(file, "VGRD", level, state["v", level])
            self._add_cloud(file, state, level)
        return file

    def _humidity(self, state, level):
        return relative_humidity(state["q", level], state["t", level], 100.0 * level)

    def _add_cloud(self, file, state, level):
        for parameter, name in ((self.cloud_water, "clwc"), ("ICMR", "ciwc")):
            self._add(file, parameter, level, state[name, level] / (1.0 - state[name, level]))

    def _add(self, file, parameter, level, values, where=None, time=None):
        message = self._message(SHORT_NAMES[parameter], level, np.asarray(values, dtype=float))
        file.add(parameter, where or f"{level} mb", message, self.cycle, time or self.time)

    def _message(self, short_name, level, values) -> bytes:
        handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{'pl' if level else 'sfc'}_grib2")
        try:
            for key, value in self._keys().items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set(handle, "shortName", short_name)
            if level:
                eccodes.codes_set(handle, "level", level)
            eccodes.codes_set(handle, "packingType", self.packing)
            eccodes.codes_set(handle, "bitsPerValue", 20)
            eccodes.codes_set_values(handle, values.ravel())
            return eccodes.codes_get_message(handle)
        finally:
            eccodes.codes_release(handle)

    def _keys(self):
        longitudes, latitudes = self.longitudes, self.latitudes
        return {
            "centre": "kwbc",
            "tablesVersion": 2,
            "shapeOfTheEarth": 6,
            "typeOfGeneratingProcess": 2,
            "generatingProcessIdentifier": 81,
            "significanceOfReferenceTime": 1,
            "dataDate": int(f"{self.cycle:%Y%m%d}"),
            "dataTime": int(f"{self.cycle:%H%M}"),
            "Ni": longitudes.size,
            "Nj": latitudes.size,
            "latitudeOfFirstGridPointInDegrees": float(latitudes[0]),
            "latitudeOfLastGridPointInDegrees": float(latitudes[-1]),
            "longitudeOfFirstGridPointInDegrees": float(longitudes[0]),
            "longitudeOfLastGridPointInDegrees": float(longitudes[-1]),
            "iDirectionIncrementInDegrees": float(longitudes[1] - longitudes[0]),
            "jDirectionIncrementInDegrees": float(abs(latitudes[1] - latitudes[0])),
        }
