"""What the API gives and takes, as it stands in its OpenAPI document."""

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from db.states import AttemptState, RunState

LARGEST_NUMBER = 2**53 - 1
"""The largest integer that every JSON reader keeps; far below what a column holds."""

NEXT = "Give it as `after` for the next page; none on the last one."
A_RUN = "20261121T06-demo-3f2a9c"
A_KEY = "20261121/06z/demo/1p0/enfo/20261121060000-24h-enfo-ef.grib2"
A_HASH = "3b1f0c7d9c5e4f0e8c2a6b7d1e9f40213b1f0c7d9c5e4f0e8c2a6b7d1e9f4021"


RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def _as_written(text: Any) -> Any:
    """The text of a moment as RFC 3339 has it: no number, which would be taken for seconds since 1970."""
    if isinstance(text, str) and not RFC_3339.fullmatch(text):
        raise ValueError("expected a time such as 2026-11-21T06:00:00Z")
    return text


def _as_a_number(value: Any) -> Any:
    """The number itself: Python takes false for 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


def _in_utc(moment: datetime) -> datetime:
    """The moment in UTC; at the ends of the calendar the last one that there is."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return FIRST if moment.year == FIRST.year else LAST


def _as_a_date(text: Any) -> Any:
    """The text of a day as RFC 3339 has it."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("expected a day such as 2026-11-21")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_as_written), AfterValidator(_in_utc)]
Day = Annotated[date, BeforeValidator(_as_a_date)]
Hour = Annotated[Literal[0, 6, 12, 18], BeforeValidator(_as_a_number)]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f/]+$")]
Words = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Number = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
Limit = Annotated[int, Field(ge=1, le=200)]
Document = dict[str, Any]


class Given(BaseModel):
    """Parameters of a query: one that does not exist is refused, as a mistyped filter would let everything pass."""

    model_config = ConfigDict(extra="forbid")


class RunsQuery(Given):
    """Which runs."""

    state: RunState | None = Field(default=None, description="Only runs in this state.")
    model: Annotated[Name | None, Field(description="Only runs of this model.", examples=["demo"])] = None
    purpose: Literal["forecast", "hindcast"] | None = Field(default=None, description="Only runs of this purpose.")
    since: Annotated[
        Moment | None, Field(description="Only this cycle and later ones.", examples=["2026-11-01T00:00:00Z"])
    ] = None
    until: Annotated[
        Moment | None, Field(description="Only this cycle and earlier ones.", examples=["2026-11-21T18:00:00Z"])
    ] = None
    after: Annotated[Name | None, Field(description="`next` of the page before.", examples=[A_RUN])] = None
    limit: Limit = Field(default=50, description="Runs on a page.")


class ProductsQuery(Given):
    """Which products."""

    kind: Annotated[Name | None, Field(description="Only this kind.", examples=["members"])] = None
    lead_time_hours: int | None = Field(
        default=None, ge=0, le=100_000, description="Only this lead time [h].", examples=[24]
    )
    after: Annotated[Key | None, Field(description="`next` of the page before.", examples=[A_KEY])] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(default=100, description="Products on a page.")


class EventsQuery(Given):
    """Which events."""

    after: Number = Field(default=0, description="`next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(default=100, description="Events on a page.")


class AlertsQuery(Given):
    """Which alerts."""

    open: bool | None = Field(default=None, description="Only open alerts, or only resolved ones.")
    kind: Annotated[Name | None, Field(description="Only this kind.", examples=["late"])] = None
    after: Number | None = Field(default=None, description="`next` of the page before.")
    limit: Limit = Field(default=50, description="Alerts on a page.")


class LogQuery(Given):
    """How much of a log."""

    lines: Annotated[int, Field(ge=1, le=2000)] = Field(default=100, description="The last so many lines.")


class RunSummary(BaseModel):
    """One forecast of one cycle by one model in one configuration."""

    id: str = Field(description="The run's name.", examples=[A_RUN])
    model_name: str = Field(examples=["demo"])
    model_hash: str = Field(description="SHA-256 of the model's contents.", examples=[A_HASH])
    init_time: datetime = Field(description="The cycle.", examples=["2026-11-21T06:00:00Z"])
    config_hash: str = Field(description="SHA-256 of the configuration.", examples=[A_HASH])
    purpose: str = Field(description="forecast or hindcast.", examples=["forecast"])
    state: RunState
    source: str = Field(description="Where the analysis came from.", examples=["gfs"])
    members_requested: int = Field(examples=[50])
    members_published: int | None = Field(examples=[50])
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None = Field(description="Why it failed.")
    failures: int = Field(description="Tries that failed since it last went well.", examples=[0])
    next_try_at: datetime | None = Field(description="When a daemon tries again; none for never by itself.")
    progress: Document | None = Field(
        description="How far it is: stage, lead_hours, of_lead_hours, member_hours, of_member_hours, seconds_left, at."
    )
    retracted_at: datetime | None = Field(description="When its products were withdrawn.")
    superseded_by: str | None = Field(description="The run of the same cycle that stands in its place.")
    pinned_at: datetime | None = Field(description="Since when its products are kept whatever the rules say.")


class RunPage(BaseModel):
    """Runs, the newest cycle first."""

    runs: list[RunSummary]
    next: str | None = Field(description=NEXT, examples=[A_RUN])


class StageRow(BaseModel):
    """One part of a run."""

    name: str = Field(examples=["integrate"])
    state: AttemptState
    started_at: datetime
    ended_at: datetime | None


class AttemptRow(BaseModel):
    """One try at a stage by one process."""

    stage: str = Field(examples=["integrate"])
    number: int = Field(examples=[1])
    state: AttemptState
    host: str
    pid: int
    started_at: datetime
    ended_at: datetime | None
    error: str | None


class WorkerRow(BaseModel):
    """A process that worked on a run, and how it ended."""

    id: int
    host: str
    pid: int
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None = Field(description="Negative for a signal.")
    reason: str | None
    peak_memory_bytes: int | None
    cpu_seconds: float | None
    device_seconds: float | None
    batch_size: int | None


class InputRow(BaseModel):
    """One file or object that the analysis was made of."""

    uri: str
    source: str
    sha256: str
    bytes: int
    valid_time: datetime


class LossRow(BaseModel):
    """A member that did not end."""

    member: int
    lead_time_hours: int
    reason: str
    recorded_at: datetime


class ProductsTogether(BaseModel):
    """What a run has in the store."""

    count: int
    bytes: int
    lead_times_hours: list[int] = Field(examples=[[6, 12, 18, 24]])


class RunDetail(RunSummary):
    """All about a run but its history of events, its products and its log, which have addresses of their own."""

    store_url: str = Field(examples=["s3://forecasts/global"])
    device: str | None
    spec: Document = Field(description="The plan: enough to do the run again.")
    seeds: Document | None
    software: Document | None
    provenance: Document | None = Field(description="How each variable of the analysis was made.")
    lease_host: str | None = Field(description="Host of the process that has the run.")
    lease_pid: int | None
    lease_renewed_at: datetime | None = Field(description="Its last sign of life.")
    lease_expires_at: datetime | None
    stages: list[StageRow]
    attempts: list[AttemptRow] = Field(description="The last 200, the last first.")
    workers: list[WorkerRow] = Field(description="The last 50, the last first.")
    inputs: list[InputRow] = Field(description="The first 500 by address.")
    member_losses: list[LossRow] = Field(description="The first 500 by member.")
    products: ProductsTogether


class EventRow(BaseModel):
    """Something that happened to a run; `state` is set where it changed."""

    id: int
    at: datetime
    kind: str = Field(examples=["state"])
    state: RunState | None
    message: str


class EventPage(BaseModel):
    """A run's history, in order."""

    events: list[EventRow]
    next: int | None = Field(description=NEXT)


class LogTail(BaseModel):
    """The end of the log of the last process that worked on a run."""

    run: str = Field(examples=[A_RUN])
    worker: int
    host: str
    pid: int
    lines: list[str]


class ProductRow(BaseModel):
    """One published object."""

    key: str = Field(examples=[A_KEY])
    kind: str = Field(examples=["members"])
    lead_time_hours: int | None = Field(description="None for what belongs to the whole run.", examples=[24])
    bytes: int = Field(examples=[1234567])
    sha256: str = Field(examples=[A_HASH])
    published_at: datetime
    details: Document | None = Field(description="Media type, members and the like.")
    href: str = Field(description="Where its content is.", examples=[f"/api/v1/runs/{A_RUN}/products/{A_KEY}"])


class ProductPage(BaseModel):
    """A run's products, by key."""

    run: str = Field(examples=[A_RUN])
    products: list[ProductRow]
    next: str | None = Field(description=NEXT, examples=[A_KEY])


class AlertRow(BaseModel):
    """Something that people must know."""

    id: int
    kind: str = Field(examples=["late"])
    subject: str = Field(examples=["20261121T06"])
    run_id: str | None = Field(examples=[A_RUN])
    message: str
    raised_at: datetime
    resolved_at: datetime | None
    runbook: str = Field(
        description="Where it stands what to do about it.", examples=["https://example.org/runbook.md#late"]
    )


class AlertPage(BaseModel):
    """Alerts, the last raised first."""

    alerts: list[AlertRow]
    next: int | None = Field(description=NEXT)


class Reason(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid")

    reason: Words = Field(default="", description="Stands in the run's history.", examples=["superseded by a rerun"])


class Changed(BaseModel):
    """A run after a change."""

    run: str = Field(examples=[A_RUN])
    state: RunState
    next_try_at: datetime | None = Field(description="When a daemon tries it again.")


class OrdersQuery(Given):
    """Which orders."""

    only_open: bool = Field(default=True, description="Only orders that are not carried out yet.")
    limit: Limit = Field(default=100, description="At most so many.")


class OrderRow(BaseModel):
    """A cycle that somebody asked for."""

    id: int
    init_time: datetime = Field(examples=["2026-11-20T00:00:00Z"])
    purpose: str = Field(examples=["forecast"])
    options: Document = Field(description="Settings of its own, by their dotted names.")
    ordered_at: datetime
    run_id: str | None = Field(description="The run that carries it out.")
    run_state: RunState | None
    ended_at: datetime | None
    outcome: str | None


class OrderList(BaseModel):
    """Orders, the newest cycle first."""

    orders: list[OrderRow]


class NewOrder(BaseModel):
    """A cycle to be forecast when nothing that is due waits."""

    model_config = ConfigDict(extra="forbid")

    date: Day = Field(description="The cycle's day.", examples=["2026-11-20"])
    hour: Hour = Field(description="The cycle's hour, UTC.", examples=[6])
    purpose: Literal["forecast", "hindcast"] = Field(default="forecast")

    @property
    def cycle(self) -> datetime:
        """When it begins."""
        return datetime.combine(self.date, time(self.hour), UTC)


class Placed(BaseModel):
    """What became of an order."""

    placed: bool = Field(description="False when one like it is open already.")
    order: int | None = Field(description="Its number, when it was placed now.")


class FeedRow(BaseModel):
    """What is known of a cycle at a feed."""

    name: str = Field(examples=["gfs"])
    state: Literal["complete", "incomplete", "waiting"]
    complete_at: datetime | None
    looked_at: datetime | None
    missing: str | None = Field(description="What was missing at the last look.")
    expected_at: datetime | None = Field(description="When it usually comes; none while too little is learned.")


class CycleRow(BaseModel):
    """A cycle that is not published."""

    cycle: datetime
    feeds: list[FeedRow]
    data_at: datetime | None = Field(description="When its data is or should be there.")
    done_at: datetime | None = Field(description="When its forecast should be published.")
    objective_at: datetime = Field(description="When its forecast is to be published.")
    run_id: str | None


class CycleList(BaseModel):
    """The next cycles, the nearest first; none for a source that has its data already."""

    cycles: list[CycleRow]


class DaemonRow(BaseModel):
    """A daemon."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime = Field(description="Its last sign of life.")
    stopped_at: datetime | None


class Status(BaseModel):
    """How it stands."""

    latest: str | None = Field(description="The forecast of the newest cycle that stands.", examples=[A_RUN])
    unfinished: list[RunSummary] = Field(description="Runs that are not over, with how far each is; at most 20.")
    open_alerts: int
    open_orders: int
    daemons: list[DaemonRow] = Field(description="Those that are remembered, the last seen first.")
