"""Names of objects."""

from datetime import UTC, datetime

import pytest

from publish.layout import Layout, resolution

LAYOUT = Layout("sigmacast", datetime(2026, 11, 21, 6, tzinfo=UTC), 2.5)


def test_files_of_fields_are_named_as_ecmwf_open_data_clients_expect():
    expected = "20261121/06z/sigmacast/2p5/enfo/20261121060000-240h-enfo-ef.grib2"
    assert LAYOUT.fields(240, "enfo", "ef", "grib2") == expected


def test_manifest_and_charts_lie_beside_the_fields():
    assert LAYOUT.manifest == "20261121/06z/sigmacast/2p5/manifest.json"
    assert LAYOUT.chart("z500") == "20261121/06z/sigmacast/2p5/charts/20261121060000-z500.png"


@pytest.mark.parametrize(("spacing", "name"), [(0.25, "0p25"), (0.4, "0p4"), (1.0, "1p0"), (2.5, "2p5")])
def test_a_resolution_is_named_by_its_spacing(spacing: float, name: str):
    assert resolution(spacing) == name
