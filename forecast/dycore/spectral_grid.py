"""The geometry of a spectral truncation and its Gaussian grid: static numbers, double precision."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from forecast.dycore import fourier, legendre


@dataclass(frozen=True)
class SpectralGrid:
    """Spherical harmonics with zonal wavenumber m < `zonal_wavenumbers` and total wavenumber
    l < `total_wavenumbers`, m <= l, on `longitude_count` x `latitude_count` Gaussian nodes.

    Modal arrays are [zonal, level, total]: the zonal axis holds cos(0), sin(0), cos(1), sin(1), ...,
    where sin(0) is always zero, so that each pair shares one Legendre matrix. Nodal arrays are
    [longitude, level, latitude]. `level` stands for any stack of levels and fields: in this order both
    halves of a transform are plain matrix products without a transpose.
    """

    zonal_wavenumbers: int
    total_wavenumbers: int
    longitude_count: int
    latitude_count: int

    def __post_init__(self) -> None:
        if not 0 < self.zonal_wavenumbers <= self.total_wavenumbers:
            raise ValueError(
                f"expected 0 < zonal_wavenumbers <= total_wavenumbers, "
                f"got {self.zonal_wavenumbers} and {self.total_wavenumbers}"
            )
        if self.longitude_count < 2 * self.zonal_wavenumbers or self.latitude_count < self.zonal_wavenumbers:
            raise ValueError(
                f"{self.longitude_count} x {self.latitude_count} nodes cannot carry "
                f"{self.zonal_wavenumbers} zonal wavenumbers"
            )

    @classmethod
    def linear(cls, max_wavenumber: int) -> "SpectralGrid":
        """A TL grid: as many nodes as wavenumbers; linear terms are exact."""
        nodes = max_wavenumber + 1
        return cls(nodes, nodes + 1, 2 * nodes, nodes)

    @classmethod
    def quadratic(cls, zonal_wavenumbers: int) -> "SpectralGrid":
        """The smallest grid on which products of two fields alias nothing: 3M + 1 longitudes."""
        longitude_count = 3 * zonal_wavenumbers + 1
        return cls(zonal_wavenumbers, zonal_wavenumbers + 1, longitude_count, -(-longitude_count // 2))

    @property
    def zonal_count(self) -> int:
        """Length of the zonal axis of modal arrays."""
        return 2 * self.zonal_wavenumbers

    @cached_property
    def m(self) -> np.ndarray:
        """Zonal wavenumber of each row of the zonal axis [zonal]."""
        return np.arange(self.zonal_count) // 2

    @cached_property
    def l(self) -> np.ndarray:  # noqa: E743
        """Total wavenumbers [total]."""
        return np.arange(self.total_wavenumbers)

    @cached_property
    def mask(self) -> np.ndarray:
        """Where a coefficient exists [zonal, total]."""
        exists = self.m[:, None] <= self.l[None, :]
        exists[1] = False
        return exists

    @cached_property
    def laplacian_eigenvalues(self) -> np.ndarray:
        """Eigenvalue of the Laplacian on the unit sphere, -l (l + 1) [total]."""
        return -self.l * (self.l + 1.0)

    @cached_property
    def longitudes(self) -> np.ndarray:
        """Nodes in radians from 0 [longitude]."""
        return 2 * np.pi * np.arange(self.longitude_count) / self.longitude_count

    @cached_property
    def sin_lat(self) -> np.ndarray:
        """Sine of latitude at the nodes, south first [latitude]."""
        return legendre.gauss_nodes(self.latitude_count)[0]

    @cached_property
    def cos_lat(self) -> np.ndarray:
        """Cosine of latitude at the nodes [latitude]."""
        return np.sqrt(1 - self.sin_lat**2)

    @cached_property
    def latitudes(self) -> np.ndarray:
        """Latitude of the nodes in radians, south first [latitude]."""
        return np.arcsin(self.sin_lat)

    @cached_property
    def quadrature_weights(self) -> np.ndarray:
        """Area of the unit sphere that each node stands for [latitude]; times the longitudes, 4 pi."""
        return legendre.gauss_nodes(self.latitude_count)[1] * 2 * np.pi / self.longitude_count

    @cached_property
    def fourier_matrix(self) -> np.ndarray:
        """Real Fourier basis at the longitudes [longitude, zonal]."""
        return fourier.real_basis(self.zonal_wavenumbers, self.longitude_count)

    @cached_property
    def legendre_matrix(self) -> np.ndarray:
        """Normalised associated Legendre functions at the latitudes [m, latitude, total]."""
        return legendre.associated_functions(self.zonal_wavenumbers, self.total_wavenumbers, self.sin_lat)

    @cached_property
    def recurrence(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights a, b [zonal, total] of sin(lat) Y_l = a_(l+1) Y_(l+1) + a_l Y_(l-1), b_l = a_(l+1)."""
        m, l = self.m[:, None].astype(float), self.l[None, :].astype(float)  # noqa: E741
        a = np.sqrt(self.mask * (l**2 - m**2) / (4 * l**2 - 1))
        b = np.sqrt(self.mask * ((l + 1) ** 2 - m**2) / (4 * (l + 1) ** 2 - 1))
        a[:, 0] = 0
        b[:, -1] = 0
        return a, b
