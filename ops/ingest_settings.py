"""The sections of the configuration that say how analyses are put together, and where feeds are found."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from ingest.modes import Mode
from ops.section import Section

FeedName = Literal["gfs", "ecmwf", "era5"]
CHAINS: dict[str, tuple[FeedName, ...]] = {"gfs": ("gfs",), "ecmwf": ("ecmwf", "gfs"), "era5": ("era5",)}
"""Feeds of each source, in order of preference."""


class IngestSettings(Section):
    """How analyses are put together from feeds."""

    chain: tuple[FeedName, ...] | None = Field(
        default=None, min_length=1, description="Feeds in order of preference; unset: the source's own chain."
    )
    degraded: tuple[Mode, ...] = Field(
        default=(),
        description="Ways in which a start may be worse than planned: zero_cloud, filled_levels, next_source, "
        "previous_forcing, previous_analysis.",
    )
    max_age_hours: int = Field(default=12, ge=6, description="Greatest age of a previous analysis [h].")
    max_forcing_age_days: float = Field(default=10.0, gt=0, description="Greatest age of a previous forcing [days].")
    initial_conditions: Literal["control", "ens"] = Field(
        default="control", description="control: one analysis for all members; ens: each from its perturbed analysis."
    )
    climatology: Path | None = Field(
        default=None, description="NetCDF file of monthly sea surface means; unset: the sea surface is held."
    )
    cache: Path = Field(default=Path("var/inputs"), description="Directory of fetched files, shared by all runs.")
    cache_gib: float = Field(default=20.0, gt=0, description="Bound of that directory [GiB].")


class EcmwfSettings(Section):
    """ECMWF's open data."""

    mirrors: tuple[str, ...] = Field(
        default=("ecmwf", "google", "aws"), min_length=1, description="Mirrors in order: names, or addresses."
    )
    deadline_seconds: float = Field(default=1800.0, gt=0, description="How long one fetch may take [s].")


class GfsSettings(Section):
    """NOAA's GFS in its public bucket."""

    bucket: str = Field(default="noaa-gfs-bdp-pds", min_length=1, description="Name of the bucket.")
    endpoint_url: str | None = Field(default=None, description="Address of an S3 server other than Amazon's.")
    deadline_seconds: float = Field(default=1800.0, gt=0, description="How long one fetch may take [s].")


class CdsSettings(Section):
    """ERA5 from the Climate Data Store; address and key come from CDSAPI_URL and CDSAPI_KEY, or from ~/.cdsapirc."""

    deadline_seconds: float = Field(
        default=3600.0, gt=0, description="How long one fetch may take, the wait in the queue included [s]."
    )
