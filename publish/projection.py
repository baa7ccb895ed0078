"""Two map projections: Equal Earth for the whole world, Lambert's azimuthal one for a hemisphere. Areas are true."""

import numpy as np
from numpy.typing import NDArray

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
_M = np.sqrt(3.0) / 2.0


def equal_earth(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Map coordinates x, y (Earth radius 1) of degrees east (-180 to 180) and north; shapes broadcast.

    Šavrič, Patterson and Jenny 2019, Int. J. Geogr. Inf. Sci. 33, equations 7 and 8.
    """
    theta = np.arcsin(_M * np.sin(np.deg2rad(latitude)))
    square = theta**2
    sixth = square**3
    x = np.deg2rad(longitude) * np.cos(theta)
    x = x / (_M * (_A1 + 3 * _A2 * square + sixth * (7 * _A3 + 9 * _A4 * square)))
    y = theta * (_A1 + _A2 * square + sixth * (_A3 + _A4 * square))
    return np.broadcast_arrays(x, y)[0], np.broadcast_arrays(x, y)[1]


def polar(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64], pole: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Map coordinates x, y (Earth radius 1) around the north (`pole` 90) or south pole (-90); shapes broadcast.

    Lambert's azimuthal equal-area projection, polar aspect, Greenwich below the north pole and above the
    south pole (Snyder 1987, USGS Professional Paper 1395, equations 24-3 to 24-8).
    """
    sign = np.sign(pole)
    radius = 2.0 * np.sin(np.deg2rad(90.0 - sign * latitude) / 2.0)
    angle = np.deg2rad(longitude)
    x, y = radius * np.sin(angle), -sign * radius * np.cos(angle)
    return np.broadcast_arrays(x, y)[0], np.broadcast_arrays(x, y)[1]
