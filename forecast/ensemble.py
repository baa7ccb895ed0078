"""An ensemble forecast as an iterator of frames, window by window, that survives its process.

Within a window every member is advanced and decoded; one that becomes implausible starts the window
anew with a fresh random key, at most `reseed_limit` times, and is given up after that. When the frames of a
window have been taken, the state of every member is saved. A forecast that is begun again goes on from the
last saved window and gives the same frames, bit for bit on the same machine.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from forecast import restart
from forecast.checkpoint.native import Checkpoint
from forecast.errors import AnalysisMismatch, ForecastError, QuorumLost, RestartError
from forecast.fields import LEVEL_FIELDS
from forecast.forcing import Forcing, forcing_of
from forecast.frame import Frame
from forecast.initial import InitialConditions
from forecast.members import Identity, Members
from forecast.model import HybridModel, ModelState
from forecast.rollout import Window, windows
from forecast.spec import ForecastSpec
from forecast.times import lead_hours, valid_time

__all__ = ["Ensemble", "ForecastError", "QuorumLost"]

OnProgress = Callable[[timedelta, float, float], None]
"""Told the lead time reached, the member hours done and the member hours of the whole forecast."""

_LOG = logging.getLogger(__name__)


@dataclass
class _Member:
    """A member on its way: its state at the start of the window, and its fields at the window's outputs."""

    identity: Identity
    state: ModelState
    outputs: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)


class Ensemble:
    """The forecast that a specification describes, from a canonical analysis.

    `analysis` is a dataset as `ingest` makes it, on the model's grid and levels, or what else members start from.
    Windows are saved in `restart_dir`. `batch_size` members are advanced together; None lets the device's memory
    decide. Raises AnalysisMismatch, ForcingNotValid and the errors of `HybridModel` before any work.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        spec: ForecastSpec,
        analysis: xr.Dataset | InitialConditions,
        restart_dir: Path,
        batch_size: int | None = None,
        on_progress: OnProgress = lambda lead_time, done, total: None,
    ):
        if checkpoint.sha256 != spec.model_hash:
            raise ForecastError(
                f"the specification is for model {spec.model_hash[:12]}, the checkpoint is {checkpoint.sha256[:12]}"
            )
        self._spec = spec
        self._initial = analysis if isinstance(analysis, InitialConditions) else InitialConditions(analysis)
        self._static = checkpoint.static
        self._analysis = analysis_fields(self._initial.control, checkpoint.static)
        self._forcing = forcing_of(self._initial.control, spec.init_time - self._initial.age)
        self._forcing.at(valid_time(spec.init_time, spec.duration))
        self._hash = hashlib.sha256(f"{spec.hash} {self._fingerprint()}".encode()).hexdigest()
        self._coordinates = {name: checkpoint.static[name].values for name in ("level", "longitude", "latitude")}
        model = HybridModel(checkpoint)
        self._surface_geopotential = np.asarray(model.surface_geopotential_si)
        self._members = Members(model, spec.init_time, batch_size, -lead_hours(self._initial.age))
        self._restart_dir = restart_dir
        self._on_progress = on_progress
        self._lost: list[dict[str, Any]] = []

    @property
    def lost(self) -> tuple[Mapping[str, Any], ...]:
        """Members that were given up: member, lead_time_hours, reason."""
        return tuple(self._lost)

    def frames(self, from_lead: timedelta = timedelta(0)) -> Iterator[Frame]:
        """The frames from a lead time on, in order, resumed from the last saved window that allows it.

        A window counts as taken, and is saved, when the frame after it is asked for, or the end. Raises
        QuorumLost when too few members are left, ForcingNotValid.
        """
        first = lead_hours(from_lead)
        start, members = self._resumed(first) or (0, self._encoded())
        for window in windows(self._spec, start):
            members = self._through(window, members)
            for hour in window.outputs:
                if hour >= first:
                    yield self._frame(hour, members)
            for member in members:
                member.outputs.clear()
            self._save(window.end, members)

    def _encoded(self) -> list[_Member]:
        return self._begun([Identity(number) for number in range(self._spec.members)])

    def _begun(self, identities: list[Identity]) -> list[_Member]:
        """Members at the cycle: each encoded from its analysis, and carried on when that is older."""
        start = -lead_hours(self._initial.age)
        forcing = self._forcing_at(start)
        members = [
            _Member(identity, self._members.encode(self._analysis_of(identity.member), forcing, identity))
            for identity in identities
        ]
        if members and start < 0:
            self._advance(members, start, 0)
        return members

    def _analysis_of(self, member: int) -> Mapping[str, np.ndarray]:
        if member == 0 or self._initial.perturbed is None:
            return self._analysis
        return analysis_fields(self._initial.of(member), self._static)

    def _through(self, window: Window, members: list[_Member]) -> list[_Member]:
        """The members at the end of a window, with their outputs; those that had to be given up are left out."""
        pending, settled = members, []
        while pending:
            starts = [member.state for member in pending]
            failures = self._integrate(window, pending, len(settled))
            settled += [member for member in pending if member.identity.member not in failures]
            pending = self._reseeded(window, pending, starts, failures)
        return sorted(settled, key=lambda member: member.identity.member)

    def _integrate(self, window: Window, members: list[_Member], settled: int) -> dict[int, tuple[int, str]]:
        """Advance members through a window; for each that fails, the lead time [h] and what was wrong."""
        failures: dict[int, tuple[int, str]] = {}
        hour, running = window.start, members
        for output in window.outputs:
            running = [member for member in running if member.identity.member not in failures]
            if running and output > hour:
                self._advance(running, hour, output)
                hour = output
            forcing = self._forcing_at(output)
            for member in running:
                member.outputs[output], wrong = self._members.decode(member.state, forcing)
                if wrong is not None:
                    failures[member.identity.member] = (output, wrong)
            self._report(output, settled + len(running))
        return failures

    def _advance(self, members: list[_Member], hour: int, until: int) -> None:
        states = self._members.advance(
            [member.state for member in members],
            [member.identity for member in members],
            self._forcing_at(hour),
            hour,
            until - hour,
        )
        for member, state in zip(members, states, strict=True):
            member.state = state

    def _reseeded(
        self,
        window: Window,
        members: list[_Member],
        starts: list[ModelState],
        failures: Mapping[int, tuple[int, str]],
    ) -> list[_Member]:
        """The failed members ready for another attempt at the window, less those that are given up."""
        again: list[_Member] = []
        for member, state in zip(members, starts, strict=True):
            number, attempt = member.identity.member, member.identity.attempt
            if number not in failures:
                continue
            hour, reason = failures[number]
            _LOG.warning("member %d, attempt %d, at %d h: %s", number, attempt, hour, reason)
            if attempt >= self._spec.reseed_limit:
                self._give_up(number, hour, reason)
            else:
                again += self._restarted(window, state, Identity(number, attempt + 1))
        return again

    def _restarted(self, window: Window, state: ModelState, identity: Identity) -> list[_Member]:
        if window.start == 0:
            return self._begun([identity])
        return [_Member(identity, self._members.reseed(state, identity))]

    def _give_up(self, number: int, hour: int, reason: str) -> None:
        self._lost.append({"member": number, "lead_time_hours": hour, "reason": reason})
        left = self._spec.members - len(self._lost)
        if left < self._spec.quorum * self._spec.members:
            reasons = "; ".join(f"member {loss['member']}: {loss['reason']}" for loss in self._lost)
            raise QuorumLost(
                f"{left} of {self._spec.members} members are left, the quorum is {self._spec.quorum:.0%}; "
                f"lost: {reasons}"
            )

    def _report(self, hour: int, members: int) -> None:
        total = lead_hours(self._spec.duration)
        self._on_progress(timedelta(hours=hour), float(hour * members), float(total * members))

    def _forcing_at(self, hour: int) -> Mapping[str, np.ndarray]:
        return self._forcing.at(valid_time(self._spec.init_time, timedelta(hours=hour)))

    def _frame(self, hour: int, members: list[_Member]) -> Frame:
        outputs = [member.outputs[hour] for member in members]
        data = {
            name: (_dimensions(outputs[0][name]), np.stack([output[name] for output in outputs])) for name in outputs[0]
        }
        surface = {"surface_geopotential": (("longitude", "latitude"), self._surface_geopotential)}
        numbers = np.array([member.identity.member for member in members])
        dataset = xr.Dataset(data | surface, coords=self._coordinates | {"member": numbers})
        return Frame(self._spec.init_time, timedelta(hours=hour), dataset)

    def _save(self, hour: int, members: list[_Member]) -> None:
        states = jax.device_get([member.state for member in members])
        arrays = jax.tree.map(lambda *x: np.stack(x), *states)
        window = restart.SavedWindow(
            self._hash,
            hour,
            tuple((member.identity.member, member.identity.attempt) for member in members),
            _named(arrays),
            self._lost,
        )
        restart.save(window, self._restart_dir)

    def _resumed(self, first: int) -> tuple[int, list[_Member]] | None:
        """Lead time [h] and members of the latest saved window before the first lead time wanted."""
        for window in restart.usable(self._restart_dir, self._hash, first):
            if isinstance(window, RestartError):
                _LOG.warning("saved window not used: %s", window)
                continue
            try:
                states = _unnamed(window.arrays, jax.eval_shape(self._encoded_template))
            except RestartError as error:
                _LOG.warning("saved window not used: %s", error)
                continue
            self._lost = [dict(loss) for loss in window.lost]
            members = [
                _Member(Identity(*identity), jax.tree.map(lambda x, index=index: jnp.asarray(x[index]), states))
                for index, identity in enumerate(window.members)
            ]
            return window.lead_hours, members
        return None

    def _encoded_template(self) -> ModelState:
        return self._members.encode(self._analysis, self._forcing_at(0), Identity(0))

    def _fingerprint(self) -> str:
        """All that members start from, as hashes."""
        control = _hash_of(self._analysis, self._forcing)
        others = [*self._initial.hashes, *([str(self._initial.age)] if self._initial.age else [])]
        return " ".join([control, *others])


def analysis_fields(analysis: xr.Dataset, static: xr.Dataset) -> dict[str, np.ndarray]:
    """The level fields of an analysis [level, longitude, latitude], checked against the model's grid and levels."""
    for name in ("level", "longitude", "latitude"):
        wanted = static[name].values
        found = analysis[name].values if name in analysis.coords else None
        if found is None or found.shape != wanted.shape or not np.allclose(found, wanted, atol=1e-3):
            shown = "none" if found is None else f"{found.size} values from {found[0]:g} to {found[-1]:g}"
            raise AnalysisMismatch(
                f"the model expects {wanted.size} values of {name} from {wanted[0]:g} to {wanted[-1]:g}, got {shown}"
            )
    fields = {}
    for name in LEVEL_FIELDS:
        if name not in analysis:
            raise AnalysisMismatch(f"the analysis has no {name}; the model needs {', '.join(LEVEL_FIELDS)}")
        values = analysis[name].transpose("level", "longitude", "latitude").values.astype(np.float32)
        if not np.isfinite(values).all():
            raise AnalysisMismatch(f"{name} has {int((~np.isfinite(values)).sum())} missing values, expected none")
        fields[name] = values
    return fields


def _hash_of(fields: Mapping[str, np.ndarray], forcing: Forcing) -> str:
    digest = hashlib.sha256()
    for name, values in sorted({**fields, **forcing.fields}.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _dimensions(values: np.ndarray) -> tuple[str, ...]:
    return ("member", "level", "longitude", "latitude") if values.ndim == 3 else ("member", "longitude", "latitude")


def _named(states: ModelState) -> dict[str, np.ndarray]:
    """Arrays of a state by their path."""
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(states)}


def _unnamed(arrays: Mapping[str, np.ndarray], template: ModelState) -> ModelState:
    """The state whose arrays have been named; RestartError when one is missing or left over."""
    paths, structure = jax.tree_util.tree_flatten_with_path(template)
    names = [jax.tree_util.keystr(path) for path, _ in paths]
    if sorted(names) != sorted(arrays):
        raise RestartError(f"the saved window holds {sorted(arrays)}, the model's state is {sorted(names)}")
    return jax.tree_util.tree_unflatten(structure, [arrays[name] for name in names])
