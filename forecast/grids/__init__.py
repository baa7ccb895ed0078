"""Horizontal grids and the change from one to another. No JAX."""

from forecast.grids.gaussian import GaussianGrid
from forecast.grids.grid import Grid, GridError, RegularGrid
from forecast.grids.latlon import LatLonGrid
from forecast.grids.regrid import Regridder

__all__ = ["GaussianGrid", "Grid", "GridError", "LatLonGrid", "RegularGrid", "Regridder"]
