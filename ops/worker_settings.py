"""The section `[worker]` of the configuration: what a worker may use, how long it may take, and what is tried again."""

from pydantic import Field

from ops.section import Section


class WorkerSettings(Section):
    """What a process that works on a run may use and how long it may take."""

    seconds: float = Field(
        default=43_200.0, gt=0, description="How long a worker may take in all before it is stopped [s]."
    )
    drain_seconds: float = Field(
        default=600.0, gt=0, description="How long a worker that is asked to end may take to save its window [s]."
    )
    memory_gib: float | None = Field(
        default=None, gt=0, description="Private memory that a worker may have on the host [GiB]; unset: no limit."
    )
    nice: int = Field(default=5, ge=0, le=19, description="By how much a worker gives way to other processes.")
    open_files: int = Field(default=4096, ge=256, description="Files that a worker may have open.")
    log_mib: float = Field(
        default=16.0, gt=0, description="Size at which a worker's log begins again, keeping the one before [MiB]."
    )
    logs: int = Field(default=500, ge=1, description="Logs of workers that are kept; the oldest go first.")
    fetch_seconds: float = Field(
        default=10_800.0, gt=0, description="How long one try at fetching the analysis may take [s]."
    )
    integrate_seconds: float = Field(
        default=36_000.0, gt=0, description="How long one try at forecasting and publishing lead times may take [s]."
    )
    finish_seconds: float = Field(
        default=3_600.0, gt=0, description="How long one try at charts, manifest and catalogue may take [s]."
    )
    fetch_tries: int = Field(default=3, ge=1, description="Tries at fetching by one worker.")
    integrate_tries: int = Field(default=3, ge=1, description="Tries at forecasting and publishing by one worker.")
    finish_tries: int = Field(default=4, ge=1, description="Tries at charts, manifest and catalogue by one worker.")
    pause_seconds: float = Field(
        default=10.0, gt=0, description="Pause before a stage is tried again, doubled each time [s]."
    )
    database_seconds: float = Field(
        default=1_800.0,
        gt=0,
        description="How long a worker waits for a run history that is away, forecasting meanwhile [s].",
    )
    runs: int = Field(
        default=5, ge=1, description="Workers of a run that may fail one after the other before it is left to people."
    )
    run_pause_seconds: float = Field(
        default=60.0, gt=0, description="Pause before a run that failed is taken up again, doubled each time [s]."
    )
    run_longest_pause_seconds: float = Field(
        default=3_600.0, gt=0, description="Longest pause before a run is taken up again [s]."
    )
