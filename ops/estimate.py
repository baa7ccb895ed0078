"""How long a run will take, how much memory and room it needs: from what runs like it took before, and nothing else."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from db import past
from db.past import PastRun
from ops.expectation import Spread, expected

ENOUGH = 3
"""So many runs with the very same products count alone; with fewer, all runs of the model on the device count."""


@dataclass(frozen=True)
class Wanted:
    """What is to be forecast.

    `settings` are those that the time depends on beside the size: source, interval, products. `device` None means
    that of the last run of the model, on `host` where it is given.
    """

    model_hash: str
    members: int
    days: float
    lead_times: int
    analyses: int
    settings: Mapping[str, Any]
    device: str | None = None
    host: str | None = None

    @classmethod
    def of(
        cls, model_hash: str, spec: Mapping[str, Any], device: str | None = None, host: str | None = None
    ) -> "Wanted":
        """What a run's recorded specification asks for."""
        hours, interval = spec["duration_hours"], spec["interval_hours"]
        products = spec.get("products") or {}
        leads = products.get("lead_hours") or range(round(hours / interval) + 1)
        own = (spec.get("ingest") or {}).get("initial_conditions") == "ens"
        settings = {
            "source": (spec.get("source") or {}).get("name"),
            "interval_hours": interval,
            "window_hours": spec.get("window_hours"),
            "products": {name: value for name, value in products.items() if name not in _NO_MATTER},
            "charts": spec.get("charts") or {},
        }
        members = spec["members"]
        return cls(model_hash, members, hours / 24, len(leads), members if own else 1, settings, device, host)


_NO_MATTER = frozenset({"product", "institution", "licence", "lead_hours"})
"""Settings of products that cost no time, or are counted otherwise."""


@dataclass(frozen=True)
class Estimate:
    """What `runs` earlier runs of the model on `device` let expect; None for what none of them recorded.

    `alike` says that they made the very same products, by the same source. `stages` are seconds per stage, in their
    order, `seconds` their sum.
    """

    runs: int
    alike: bool
    device: str
    seconds: Spread
    stages: Mapping[str, Spread]
    peak_memory_bytes: Spread | None
    product_bytes: Spread | None
    product_count: Spread | None
    work_bytes: Spread | None


def estimate(session: Session, wanted: Wanted, before: datetime | None = None) -> Estimate | None:
    """What to expect of a run; None when no run of this model was published on the device (`before` then)."""
    device = wanted.device or past.last_device(session, wanted.model_hash, wanted.host)
    if device is None:
        return None
    found = past.published(session, wanted.model_hash, device, before)
    return from_history([(one, Wanted.of(wanted.model_hash, one.spec)) for one in found], wanted, device)


def from_history(history: Sequence[tuple[PastRun, Wanted]], wanted: Wanted, device: str) -> Estimate | None:
    """What these runs let expect of another one. Pure."""
    same = [(run, made) for run, made in history if made.settings == wanted.settings]
    chosen = same if len(same) >= ENOUGH or len(same) == len(history) else list(history)
    stages = _stages(chosen, wanted)
    if not stages:
        return None
    of_members = [(run, made) for run, made in chosen if made.members == wanted.members] or chosen
    return Estimate(
        runs=len(chosen),
        alike=chosen == same,
        device=device,
        seconds=sum(stages.values(), Spread(0.0, 0.0, 0.0)),
        stages=stages,
        peak_memory_bytes=_expected(chosen, wanted, lambda run: run.peak_memory_bytes, lambda made: made.members),
        product_bytes=_expected(of_members, wanted, lambda run: run.product_bytes, _fields),
        product_count=_expected(chosen, wanted, lambda run: run.product_count, lambda made: made.lead_times),
        work_bytes=_expected(chosen, wanted, lambda run: run.work_bytes, lambda made: made.members),
    )


Runs = Sequence[tuple[PastRun, Wanted]]


def _stages(history: Runs, wanted: Wanted) -> dict[str, Spread]:
    """Seconds per stage, in the order in which the last run had them."""
    found = {}
    for name in _names(run for run, _ in history):
        size = _SIZES.get(name, _one)
        spread = _expected(history, wanted, lambda run, name=name: run.stage_seconds.get(name), size)
        if spread is not None:
            found[name] = spread
    return found


def _names(runs: Iterable[PastRun]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.stage_seconds))


def _one(_wanted: Wanted) -> float:
    return 1.0


def _fields(wanted: Wanted) -> float:
    return wanted.lead_times * wanted.members


_SIZES: Mapping[str, Callable[[Wanted], float]] = {
    "fetch": lambda wanted: wanted.analyses,
    "integrate": lambda wanted: wanted.members * wanted.days,
    "finish": lambda wanted: wanted.lead_times,
}
"""What each stage's time grows with."""


def _expected(
    history: Runs, wanted: Wanted, value: Callable[[PastRun], float | None], size: Callable[[Wanted], float]
) -> Spread | None:
    """What a quantity will be, from the runs that recorded it."""
    told = [(size(made), float(one)) for run, made in history if (one := value(run)) is not None and one > 0]
    return expected([at for at, _ in told], [one for _, one in told], size(wanted))
