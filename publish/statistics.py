"""Statistics over the members of an ensemble.

The control counts as a member: ECMWF computes its products `em` and `es` "from the full set of 51
forecasts (i.e. the 50 perturbed forecasts plus the control forecast)" (Meteorological Bulletin M3.1,
"Ensemble Mean and Ensemble Standard Deviation products"). The spread is the standard deviation about
the ensemble mean with the number of members as divisor. A member that was dropped does not count.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from publish.product import Slab


@dataclass(frozen=True)
class Statistics:
    """Mean and spread of a slab, float32 [latitude, longitude], over `count` members."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    count: int


def statistics(slab: Slab) -> Statistics:
    """Mean and spread over the slab's members, accumulated in float64."""
    count = len(slab.members)
    mean = slab.values.mean(axis=0, dtype=np.float64)
    variance = np.zeros_like(mean)
    for values in slab.values:
        variance += (values - mean) ** 2
    return Statistics(mean.astype(np.float32), np.sqrt(variance / count).astype(np.float32), count)
