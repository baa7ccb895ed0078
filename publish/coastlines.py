"""Coastlines of the world, for maps: Natural Earth at 1:110 million, public domain, shipped with the package."""

import json
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


@cache
def coastlines() -> tuple[NDArray[np.float64], ...]:
    """Lines of points [point, (longitude, latitude)] in degrees, longitudes between -180 and 180."""
    document = json.loads(files("publish").joinpath("data/coastlines-110m.json").read_text(encoding="utf-8"))
    return tuple(np.asarray(line, dtype=np.float64).reshape(-1, 2) for line in document["lines"])
