"""The section of the configuration that says what the machine costs."""

from pydantic import Field

from ops.section import Section


class CostSettings(Section):
    """What an hour of the machine that forecasts costs; used to say beforehand what a run will."""

    per_hour: float | None = Field(default=None, ge=0, description="Price of an hour; unset: no cost is told.")
    currency: str = Field(default="EUR", min_length=1, description="What the price is in.")
