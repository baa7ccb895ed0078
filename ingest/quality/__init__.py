"""The quality gate: is this analysis one that a forecast may start from?

Checks look at single fields, at levels and variables against each other, and at the difference from a
short forecast for the same time. Each finding names variable, level and place; limits tell whether it is
worth a warning or blocks the run.
"""

import xarray as xr

from ingest.analysis import Analysis
from ingest.limits import DEFAULT_LIMITS, Limits
from ingest.quality.background import background
from ingest.quality.columns import balance, hydrostatic, steps, winds
from ingest.quality.earlier import read_forecast
from ingest.quality.fields import constant, means, missing, ranges, spikes
from ingest.quality.report import Finding, Report, report_of
from ingest.quality.state import State

__all__ = ["Finding", "Report", "examine", "read_forecast"]

_CHECKS = (missing, ranges, spikes, constant, means, hydrostatic, steps, winds, balance)


def examine(analysis: Analysis, limits: Limits = DEFAULT_LIMITS, previous: xr.Dataset | None = None) -> Report:
    """Everything about an analysis that is beyond the limits.

    `previous` is a forecast valid at the analysis's time: level fields under their canonical names, with
    dimensions (level [hPa], longitude, latitude), on any global grid.
    """
    state = State.of(analysis)
    findings = [finding for check in _CHECKS for finding in check(state, limits)]
    if previous is not None:
        findings += background(state, limits, previous)
    return report_of(findings)
