"""The hybrid model and what every other room shares: fields, times, grids and the forecast's specification."""
