"""Names of published objects.

The layout is the one that ECMWF's open-data clients read:
`{yyyymmdd}/{HH}z/{product}/{resolution}/{stream}/{yyyymmddHH0000}-{step}h-{stream}-{type}.{suffix}`,
with stream `oper` for the control and `enfo` for the ensemble, and types `fc` (control), `ef`
(members), `em` (ensemble mean), `es` (ensemble standard deviation) and `ep` (both). The clients look for
mean and spread in files of many lead times, those up to 240 h in `240h-enfo-ep`, later ones in `360h-enfo-ep`.
"""

from dataclasses import dataclass
from datetime import datetime

from forecast.times import require_utc

LATEST = "latest.json"
"""Key of the pointer to the newest complete run of a store."""

STATISTICS_PARTS = (range(241), range(241, 361))
"""Lead times [h] of the two parts of a run in which the clients expect mean and spread."""


def stream_of(key: str) -> str:
    """The stream of a file of fields, by its key."""
    return key.split("/")[-2]


def signature(manifest_key: str) -> str:
    """Key of the signature of a manifest."""
    return f"{manifest_key}.sig"


def status_of(manifest_key: str) -> str:
    """Key of the status of the run whose manifest this is."""
    return f"{manifest_key.rpartition('/')[0]}/status.json"


def resolution(spacing_degrees: float) -> str:
    """Name of a grid spacing: 2p5 for 2.5 degrees, 0p25 for a quarter degree."""
    return f"{spacing_degrees:.10g}".replace(".", "p") if spacing_degrees % 1 else f"{spacing_degrees:.0f}p0"


@dataclass(frozen=True)
class Layout:
    """Keys of one run's objects."""

    product: str
    init_time: datetime
    spacing_degrees: float

    @property
    def prefix(self) -> str:
        """What the keys of the run begin with, slash included."""
        moment = require_utc(self.init_time)
        return f"{moment:%Y%m%d}/{moment:%H}z/{self.product}/{resolution(self.spacing_degrees)}/"

    @property
    def manifest(self) -> str:
        """Key of the manifest; it exists only when the run is complete."""
        return f"{self.prefix}manifest.json"

    @property
    def status(self) -> str:
        """Key of the record of how the run stands; it is there from the run's first moment and changes."""
        return f"{self.prefix}status.json"

    def is_product(self, key: str) -> bool:
        """Whether a key is that of a file of the run, rather than of a document about it."""
        parts = key.removeprefix(self.prefix).split("/")
        return key.startswith(self.prefix) and any(part.startswith(self._stamp) for part in parts)

    def fields(self, lead_hours: int, stream: str, kind: str, suffix: str) -> str:
        """Key of a file of fields at one lead time."""
        return f"{self.prefix}{stream}/{self._stamp}-{lead_hours}h-{stream}-{kind}.{suffix}"

    @property
    def zarr(self) -> str:
        """Key of the run's Zarr store, without a slash at its end."""
        return f"{self.prefix}{self._stamp}-enfo.zarr"

    @property
    def zarr_root(self) -> str:
        """Key of the object by which the Zarr store opens."""
        return f"{self.zarr}/zarr.json"

    def chart(self, name: str) -> str:
        """Key of a chart of the run."""
        return f"{self.prefix}charts/{self._stamp}-{name}.png"

    @property
    def _stamp(self) -> str:
        return f"{require_utc(self.init_time):%Y%m%d%H0000}"
