"""The real Fourier basis on equally spaced longitudes."""

import numpy as np


def real_basis(wavenumbers: int, nodes: int) -> np.ndarray:
    """Columns cos(0), sin(0), cos(1), sin(1), ... with unit L2 norm on a circle, float64 [nodes, 2 wavenumbers].

    The column of sin(0) is zero: it pads the basis so that each wavenumber has two columns.
    """
    angles = 2 * np.pi * np.outer(np.arange(nodes), np.arange(wavenumbers)) / nodes
    basis = np.stack([np.cos(angles), np.sin(angles)], axis=-1) / np.sqrt(np.pi)
    basis[:, 0, 0] /= np.sqrt(2)
    basis[:, 0, 1] = 0.0
    return basis.reshape(nodes, 2 * wavenumbers)
