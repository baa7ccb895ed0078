"""The section `[daemon]` of the configuration."""

from pydantic import Field, field_validator

from forecast.times import CYCLE_HOURS
from ops.section import Section


class DaemonSettings(Section):
    """What the daemon runs, and when."""

    cycles: tuple[int, ...] = Field(default=CYCLE_HOURS, min_length=1, description="Cycles that are forecast [h UTC].")
    catch_up_hours: float = Field(
        default=24.0, gt=0, le=8760, description="How old a cycle may be that is still forecast by itself [h]."
    )
    workers: int = Field(default=1, ge=1, le=64, description="Forecasts at a time on this host.")
    poll_seconds: float = Field(
        default=60.0, ge=1, le=3600, description="Between looks at a feed while its data is expected [s]."
    )
    degraded_after_minutes: float = Field(
        default=60.0,
        ge=0,
        description="How long after the latest usual arrival a degraded start is taken, if `ingest.degraded` "
        "allows it [min].",
    )
    order_delay_seconds: float = Field(
        default=600.0,
        ge=0,
        description="How long a cycle that is due waits for an ordered run (backfill, hindcast) to end, before that "
        "is stopped at its last saved window [s].",
    )
    tick_seconds: float = Field(
        default=5.0, ge=0.1, le=60, description="Between looks at workers and at the run history [s]."
    )

    @field_validator("cycles")
    @classmethod
    def _are_cycles(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not set(value) <= set(CYCLE_HOURS) or len(set(value)) != len(value):
            raise ValueError(f"expected hours out of {', '.join(map(str, CYCLE_HOURS))}, each once")
        return tuple(sorted(value))
