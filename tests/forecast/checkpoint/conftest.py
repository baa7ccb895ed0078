"""Small published archives for the tests, and the real one of the demo where it is installed."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def contents() -> dict[str, Any]:
    """The content of a small valid archive on a 4 x 2 grid."""
    rng = np.random.default_rng(0)

    def variable(dims: tuple[str, ...], data: list) -> dict[str, Any]:
        return {"dims": dims, "attrs": {}, "data": data}

    return {
        "params": {
            "model/~/linear": {"w": rng.normal(size=(3, 2)).astype(np.float32), "b": np.zeros(2, np.float32)},
            "model/~/conv": {"w": np.asfortranarray(rng.normal(size=(2, 3, 4)).astype(np.float32))},
        },
        "aux_ds_dict": {
            "coords": {
                "level": variable(("level",), [1, 500, 1000]),
                "longitude": variable(("longitude",), [0.0, 90.0, 180.0, 270.0]),
                "latitude": variable(("latitude",), [-45.0, 45.0]),
            },
            "attrs": {"id": 1},
            "dims": {"longitude": 4, "latitude": 2, "level": 3},
            "data_vars": {
                "land_sea_mask": variable(("longitude", "latitude"), [[0.0, 1.0]] * 4),
                "geopotential_at_surface": variable(("latitude", "longitude"), [[1.0, 2.0, 3.0, 4.0], [5.0] * 4]),
            },
        },
        "model_config_str": "LAYERS = 3\n",
    }


@pytest.fixture
def demo_archive() -> Path:
    """The archive that the neuralgcm distribution ships."""
    spec = importlib.util.find_spec("neuralgcm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the distribution neuralgcm is not installed")
    return Path(spec.submodule_search_locations[0]) / "data" / "tl63_stochastic_mini.pkl"
