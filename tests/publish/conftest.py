"""Fixtures for products."""

from pathlib import Path

import pytest

from forecast.frame import Frame
from publish.product import Past, ProductSettings
from publish.publisher import encode
from publish.settings import STANDARD_FIELDS, STATISTICS
from publish.stores import LocalStore
from publish.writers import EncodedFile, FrameHeader
from tests.publish.frames import LEVELS, make_frame

ATTRIBUTES = dict.fromkeys(("title", "institution", "source", "history", "references"), "of a test")


ALL_FIELDS = (
    *STANDARD_FIELDS[:6],
    "atmosphere_relative_vorticity",
    "divergence_of_wind",
    *STANDARD_FIELDS[6:9],
    "atmosphere_mass_content_of_water",
    *STANDARD_FIELDS[9:],
)
"""Every field that can be derived, but for the other thicknesses."""


@pytest.fixture(scope="session")
def settings() -> ProductSettings:
    """All fields and statistics on the levels of the test frames, a file per lead time, and no places."""
    return ProductSettings(
        levels=LEVELS, fields=ALL_FIELDS, statistics=STATISTICS, formats=("grib2", "netcdf"), places=()
    )


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """An empty local store."""
    return LocalStore(tmp_path / "store")


def encode_frame(
    frame: Frame,
    settings: ProductSettings,
    directory: Path,
    ensemble_size: int = 4,
    run_lead_hours: tuple[int, ...] = (0, 6, 12),
    past: Past | None = None,
) -> dict[tuple[str, str], EncodedFile]:
    """All files of a frame, by suffix and kind."""
    directory.mkdir(exist_ok=True)
    header = FrameHeader.of(frame, settings, ensemble_size, ATTRIBUTES, run_lead_hours)
    files = encode(frame, header, settings, directory, past)
    return {(file.path.suffix, file.kind): file for file in files}


@pytest.fixture(scope="session")
def encoded(settings: ProductSettings, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], EncodedFile]:
    """The files of one lead time, 6 h, four members."""
    return encode_frame(make_frame(6), settings, tmp_path_factory.mktemp("encoded"))
