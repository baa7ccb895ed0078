"""The ways in which a start may be worse than planned; each must be allowed by name."""

from typing import Literal

Mode = Literal["zero_cloud", "filled_levels", "next_source", "previous_forcing", "previous_analysis"]
"""No cloud at all; levels filled that a source should have had; a source instead of a better one; the sea surface of an
earlier cycle; the whole analysis of an earlier cycle, carried to this one by the model."""
