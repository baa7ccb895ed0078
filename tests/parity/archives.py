"""Archives with random parameters for configurations whose trained weights are not at hand."""

import re
from typing import Any

import haiku as hk
import jax
import neuralgcm
import neuralgcm.demo
import numpy as np
import xarray as xr
from neuralgcm.legacy import gin_utils
from scipy.special import roots_legendre

from forecast.checkpoint.published import Archive
from tests.parity.reference import checkpoint_of

_REDUCTIONS = {
    r"@GridTL\d+\(\)": "@GridTL31()",
    r"^GridTL\d+\.": "GridTL31.",
    r"longitude_wavenumbers = \d+": "longitude_wavenumbers = 31",
    r"^LATENT_SIZE = \d+": "LATENT_SIZE = 16",
    r"^LAYER_SIZE = \d+": "LAYER_SIZE = 12",
    r"^N_CNN_FEATURES = \d+": "N_CNN_FEATURES = 11",
    r"^VerticalConvTower\.channels = .*": "VerticalConvTower.channels = [6, 5]",
}


def reduced(config_text: str) -> str:
    """A published configuration on the TL31 grid (64 x 32) with small towers, its components unchanged."""
    for pattern, replacement in _REDUCTIONS.items():
        config_text = re.sub(pattern, replacement, config_text, flags=re.MULTILINE)
    return config_text + "\nGridTL31.radius = 1.0\n"


def static_on(static: xr.Dataset, longitude_count: int, latitude_count: int) -> xr.Dataset:
    """Static fields interpolated to a Gaussian grid."""
    grid = {
        "longitude": np.arange(longitude_count) * 360 / longitude_count,
        "latitude": np.rad2deg(np.arcsin(roots_legendre(latitude_count)[0])),
    }
    result = static.interp(grid, kwargs={"fill_value": "extrapolate"})
    result["land_area_fraction"] = result.land_area_fraction.clip(0, 1)
    return result.astype(np.float32)


def random_archive(config_text: str, static: xr.Dataset, seed: int) -> Archive:
    """An archive of the configuration: the reference's parameter names and shapes, random values.

    Weights have the variance 1 / (number of inputs); everything else is normal with the standard deviation
    0.1, so that no parameter is at a value that hides it.
    """
    empty = neuralgcm.PressureLevelModel.from_checkpoint(checkpoint_of(Archive({}, static, config_text)))
    rng = np.random.default_rng(seed)
    params = {
        f"{module}|{leaf}": _values(rng, leaf, leaves[leaf].shape)
        for module, leaves in sorted(_shapes(empty).items())
        for leaf in sorted(leaves)
    }
    return Archive(params, static, config_text)


def _values(rng: np.random.Generator, leaf: str, shape: tuple[int, ...]) -> np.ndarray:
    scale = 1 / np.sqrt(np.prod(shape[:-1])) if leaf == "w" else 0.1
    return np.asarray(scale * rng.normal(size=shape), np.float32)


def _shapes(model: neuralgcm.PressureLevelModel) -> Any:
    """Shapes of all parameters: what encoding, one step and decoding create."""
    analysis = neuralgcm.demo.load_data(model.data_coords).isel(time=0)
    inputs = dict(model.inputs_from_xarray(analysis))
    forcings = model._squeeze_level_from_forcings(model.forcings_from_xarray(analysis))
    time = inputs["sim_time"]
    inputs = jax.tree.map(lambda x: np.asarray(x)[None], model._to_abbreviated_names_and_tracers(inputs))
    forcings = jax.tree.map(lambda x: np.asarray(x)[None], forcings)

    def forward(inputs: Any, forcings: Any, time: Any) -> Any:
        whole = model._structure.model_cls()
        forcing = whole.forcing_fn(forcings, time)
        state = whole.advance(whole.encode(inputs, forcing), forcing)
        return whole.decode(state, forcing)

    with gin_utils.specific_config(model.gin_config):
        return jax.eval_shape(hk.transform(forward).init, jax.random.key(0), inputs, forcings, time)
