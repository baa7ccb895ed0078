"""Laws of regridding: what is constant stays so, what is conserved stays so, and order does not matter."""

import numpy as np
import pytest

from forecast.grids import GaussianGrid, LatLonGrid, Regridder, RegularGrid

GAUSSIAN = GaussianGrid(64, 32)
LATLON = LatLonGrid(2.5)


def smooth(grid):
    longitude, latitude = np.deg2rad(grid.longitudes)[:, None], np.deg2rad(grid.latitudes)[None, :]
    return 280 + 20 * np.cos(2 * longitude - 0.3) * np.cos(latitude) ** 2 + 30 * np.sin(latitude)


def area_mean(field, grid):
    order = np.argsort(grid.latitudes)
    middle = np.deg2rad(grid.latitudes[order])
    bounds = np.concatenate([[-np.pi / 2], (middle[1:] + middle[:-1]) / 2, [np.pi / 2]])
    return np.sum(field.mean(axis=0)[order] * np.diff(np.sin(bounds))) / 2


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
@pytest.mark.parametrize("source, target", [(LATLON, GAUSSIAN), (GAUSSIAN, LATLON), (GAUSSIAN, GaussianGrid(128, 64))])
def test_a_constant_field_stays_constant(method, source, target):
    field = np.full((2, 3, source.longitudes.size, source.latitudes.size), 287.5, np.float32)
    result = Regridder(source, target, method)(field)
    assert result.shape == (2, 3, target.longitudes.size, target.latitudes.size)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 287.5, rtol=1e-6)


@pytest.mark.parametrize("source, target", [(LATLON, GAUSSIAN), (GAUSSIAN, LATLON), (LATLON, GaussianGrid(20, 10))])
def test_conservative_keeps_the_global_mean(source, target):
    field = np.random.default_rng(0).normal(size=(source.longitudes.size, source.latitudes.size))
    result = Regridder(source, target)(field)
    assert area_mean(result, target) == pytest.approx(area_mean(field, source), abs=1e-12)


@pytest.mark.parametrize("method, tolerance", [("conservative", 0.6), ("bilinear", 0.25)])
def test_a_smooth_field_is_reproduced(method, tolerance):
    result = Regridder(LATLON, GAUSSIAN, method)(smooth(LATLON))
    np.testing.assert_allclose(result, smooth(GAUSSIAN), atol=tolerance)


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
def test_the_order_of_a_files_coordinates_does_not_matter(method):
    expected = Regridder(LATLON, GAUSSIAN, method)(smooth(LATLON))
    shuffled = RegularGrid(LATLON.longitudes - 180.0, LATLON.latitudes[::-1])
    np.testing.assert_allclose(Regridder(shuffled, GAUSSIAN, method)(smooth(shuffled)), expected, atol=1e-10)


@pytest.mark.parametrize("method", ["conservative", "bilinear"])
def test_the_same_grid_is_the_identity(method):
    field = smooth(GAUSSIAN)
    np.testing.assert_allclose(Regridder(GAUSSIAN, GAUSSIAN, method)(field), field, rtol=1e-14)


def test_conservative_skips_missing_cells_and_leaves_no_trace_of_them():
    field = smooth(LATLON)
    field[:72, :] = np.nan
    result = Regridder(LATLON, GAUSSIAN)(field)
    assert np.isnan(result[2:30]).all()
    assert np.isfinite(result[34:62]).all()
    assert np.nanmin(result) >= np.nanmin(field) - 1e-9


def test_a_field_of_missing_values_stays_missing():
    assert np.isnan(Regridder(LATLON, GAUSSIAN)(np.full(LATLON.shape, np.nan))).all()


def test_a_scalar_has_one_value_at_the_pole():
    result = Regridder(GAUSSIAN, LATLON, "bilinear")(smooth(GAUSSIAN))
    assert np.ptp(result[:, 0]) < 1e-10
    assert np.ptp(result[:, -1]) < 1e-10


def test_a_uniform_wind_across_the_pole_keeps_its_speed_there():
    longitude = np.deg2rad(GAUSSIAN.longitudes)[:, None]
    eastward = 10 * np.sin(longitude) * np.ones(GAUSSIAN.shape)
    northward = 10 * np.cos(longitude) * np.ones(GAUSSIAN.shape)
    regridder = Regridder(GAUSSIAN, LATLON, "bilinear")
    speed = np.hypot(regridder(eastward, vector=True), regridder(northward, vector=True))
    np.testing.assert_allclose(speed[:, [0, -1]], 10.0, rtol=2e-3)


def test_large_stacks_equal_their_fields_one_by_one(monkeypatch):
    monkeypatch.setattr("forecast.grids.regrid._BLOCK_VALUES", 3 * 64 * 32)
    fields = np.random.default_rng(1).normal(size=(8, 64, 32)).astype(np.float32)
    regridder = Regridder(GAUSSIAN, LATLON)
    np.testing.assert_array_equal(regridder(fields), np.stack([regridder(field) for field in fields]))


def test_an_array_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="longitude, latitude"):
        Regridder(LATLON, GAUSSIAN)(np.zeros((73, 144)))


@pytest.mark.parametrize("name, kind", [("ConservativeRegridder", "conservative"), ("BilinearRegridder", "bilinear")])
@pytest.mark.parametrize("target", [(64, 32), (128, 64), (96, 48)])
def test_agrees_with_the_reference(name, kind, target):
    spherical_harmonic = pytest.importorskip("dinosaur.spherical_harmonic")
    interpolation = pytest.importorskip("dinosaur.horizontal_interpolation")
    make = {(64, 32): "TL31", (128, 64): "TL63", (96, 48): "TL47"}
    source = GaussianGrid(128, 64)
    reference = getattr(interpolation, name)(
        spherical_harmonic.Grid.TL63(), getattr(spherical_harmonic.Grid, make[target])()
    )
    result = Regridder(source, GaussianGrid(*target), kind)(smooth(source).astype(np.float32))
    inner = (slice(None, -2), slice(1, -1)) if kind == "bilinear" else (slice(None), slice(None))
    np.testing.assert_allclose(
        result[inner], np.asarray(reference(smooth(source).astype(np.float32)))[inner], rtol=1e-5
    )


@pytest.mark.parametrize("target", [(256, 128), (128, 64)])
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "with gaps"])
def test_agrees_with_the_reference_from_a_regular_grid(target, gaps):
    """The grids of the published models, from one that runs from pole to pole as those of analyses do."""
    spherical_harmonic = pytest.importorskip("dinosaur.spherical_harmonic")
    interpolation = pytest.importorskip("dinosaur.horizontal_interpolation")
    source = RegularGrid(np.arange(0.0, 360.0, 1.5), np.linspace(90.0, -90.0, 121))
    field = smooth(source) + np.random.default_rng(0).normal(size=(240, 121))
    if gaps:
        field[40:160, 30:90] = np.nan
    theirs = spherical_harmonic.Grid(
        longitude_nodes=240, latitude_nodes=121, latitude_spacing="equiangular_with_poles", longitude_offset=0.0
    )
    make = {(256, 128): "TL127", (128, 64): "TL63"}[target]
    reference = interpolation.ConservativeRegridder(theirs, getattr(spherical_harmonic.Grid, make)(), skipna=True)
    expected = np.asarray(reference(field[:, ::-1].astype(np.float32)))
    result = Regridder(source, GaussianGrid(*target))(field.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    assert np.isnan(expected).any() == gaps
    assert np.nanmax(np.abs(result - expected)) / np.nanstd(expected) < 1e-5


@pytest.mark.parametrize(
    "dtype, tolerance", [(np.float16, 2e-3), (np.float32, 3e-7), (np.int64, 1e-14), (np.float64, 1e-14)]
)
def test_the_precision_is_that_of_the_field(dtype, tolerance):
    field = np.rint(smooth(LATLON)).astype(dtype)
    result = Regridder(LATLON, GAUSSIAN)(field)
    assert result.dtype == (dtype if np.issubdtype(dtype, np.floating) else np.float64)
    np.testing.assert_allclose(result, Regridder(LATLON, GAUSSIAN)(field.astype(np.float64)), rtol=tolerance)
