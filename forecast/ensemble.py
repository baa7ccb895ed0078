"""An ensemble forecast as an iterator of frames, window by window, that survives its process.

Within a window every member is advanced and decoded; one that becomes implausible starts the window
anew with a fresh random key, at most `reseed_limit` times, and is given up after that. While the frames of a window
are being used, an accelerator integrates the next one, and no more than that one; a CPU, which the use of the frames
needs as well, begins it after that. When the frames of a window have been taken, the state of every member is saved.
A forecast that is begun again goes on from the last saved window and gives the same frames, bit for bit on the same
machine.
"""

import hashlib
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from forecast import memory, restart
from forecast.ahead import ahead
from forecast.checkpoint.native import Checkpoint
from forecast.devices import Device
from forecast.errors import AnalysisMismatch, ForecastError, RestartError
from forecast.fields import LEVEL_FIELDS
from forecast.forcing import Forcing, forcing_of
from forecast.frame import Frame
from forecast.initial import InitialConditions
from forecast.integration import Finished, Integration, Member, OnProgress, advance, by_device
from forecast.members import Identity, Members
from forecast.model_state import ModelState
from forecast.operations import Operations
from forecast.rollout import windows
from forecast.spec import ForecastSpec
from forecast.spool import Spool
from forecast.times import lead_hours, valid_time

Fields = dict[str, np.ndarray]

_LOG = logging.getLogger(__name__)


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
        jax.config.update("jax_enable_x64", spec.precision == "float64")
        model = Operations.of_checkpoint(checkpoint, towers_for(spec))
        self._surface_geopotential = model.surface_geopotential.astype(np.float32)
        self._members = Members(model, spec.init_time, batch_size, -lead_hours(self._initial.age), spec.members)
        self._restart_dir = restart_dir
        self._on_progress = on_progress
        self._lost: list[dict[str, Any]] = []
        self._draining = False

    @property
    def lost(self) -> tuple[Mapping[str, Any], ...]:
        """Members that were given up: member, lead_time_hours, reason."""
        return tuple(self._lost)

    @property
    def batch_size(self) -> int | None:
        """How many members are advanced together; None until the first are."""
        return self._members.batch_size

    def drain(self) -> None:
        """End the frames with the window that is in use, as soon as it is taken and saved."""
        self._draining = True

    def frames(self, from_lead: timedelta = timedelta(0)) -> Generator[Frame]:
        """The frames from a lead time on, in order, resumed from the last saved window that allows it.

        A window counts as taken, and is saved, when the frame after it is asked for, or the end. Raises
        QuorumLost when too few members are left, ForcingNotValid. Closing ends the integration.
        """
        first = lead_hours(from_lead)
        template = self._members.prepare(self._analysis, self._forcing_at(-lead_hours(self._initial.age)))
        start, members = self._resumed(first, template) or (0, None)
        spool = Spool(self._restart_dir / "fields")
        integration = Integration(
            self._members, spool, self._spec, self._forcing_at, self._begun, self._on_progress, self._lost
        )
        coming = self._finished(integration, start, members)
        with closing(spool), closing(coming if self._members.on_host else ahead(coming)) as finished:
            try:
                for each in finished:
                    yield from self._taken(each, spool, first)
                    if self._draining:
                        return
            finally:
                integration.stop()

    def _finished(self, integration: Integration, start: int, members: list[Member] | None) -> Generator[Finished]:
        if members is None:
            members = self._begun([Identity(number) for number in range(self._spec.members)])
        return (yield from integration.windows(windows(self._spec, start), members))

    def _taken(self, finished: Finished, spool: Spool, first: int) -> Iterator[Frame]:
        """The frames of a window from a lead time on; once they are taken it is saved."""
        self._lost = [dict(loss) for loss in finished.lost]
        for hour in finished.window.outputs:
            if hour >= first:
                yield self._frame(hour, finished.identities, _taken_in(spool, hour, finished.identities))
                memory.give_back()
        self._save(finished)

    def _begun(self, identities: Sequence[Identity]) -> list[Member]:
        """Members at the cycle: each encoded from its analysis, and carried on when that is older."""
        start = -lead_hours(self._initial.age)
        forcing = self._forcing_at(start)
        members = [
            Member(each, self._members.encode(self._analysis_of(each.member), forcing, each, self._device_of(each)))
            for each in identities
        ]
        if start < 0:
            for group in by_device(members).values():
                advance(self._members, group, forcing, start, 0)
        return members

    def _device_of(self, identity: Identity) -> Device:
        return self._members.devices[identity.member % len(self._members.devices)]

    def _analysis_of(self, member: int) -> Mapping[str, np.ndarray]:
        if member == 0 or self._initial.perturbed is None:
            return self._analysis
        return analysis_fields(self._initial.of(member), self._static)

    def _forcing_at(self, hour: int) -> Mapping[str, np.ndarray]:
        return self._forcing.at(valid_time(self._spec.init_time, timedelta(hours=hour)))

    def _frame(self, hour: int, identities: Sequence[Identity], fields: Fields) -> Frame:
        data = {name: (_dimensions(values), values) for name, values in fields.items()}
        surface = {"surface_geopotential": (("longitude", "latitude"), self._surface_geopotential)}
        numbers = np.array([identity.member for identity in identities])
        dataset = xr.Dataset(data | surface, coords=self._coordinates | {"member": numbers})
        return Frame(self._spec.init_time, timedelta(hours=hour), dataset)

    def _save(self, finished: Finished) -> None:
        arrays = jax.tree.map(lambda *x: np.stack(x), *finished.states)
        window = restart.SavedWindow(
            self._hash,
            finished.window.end,
            tuple((identity.member, identity.attempt) for identity in finished.identities),
            _named(arrays),
            self._lost,
        )
        restart.save(window, self._restart_dir)

    def _resumed(self, first: int, template: ModelState) -> tuple[int, list[Member]] | None:
        """Lead time [h] and members of the latest saved window before the first lead time wanted."""
        for window in restart.usable(self._restart_dir, self._hash, first):
            if isinstance(window, RestartError):
                _LOG.warning("saved window not used: %s", window)
                continue
            try:
                states = _unnamed(window.arrays, template)
            except RestartError as error:
                _LOG.warning("saved window not used: %s", error)
                continue
            self._lost = [dict(loss) for loss in window.lost]
            return window.lead_hours, [
                self._restored(Identity(*identity), jax.tree.map(lambda x, index=index: x[index], states))
                for index, identity in enumerate(window.members)
            ]
        return None

    def _restored(self, identity: Identity, state: ModelState) -> Member:
        return Member(identity, jax.device_put(state, self._device_of(identity)))

    def _fingerprint(self) -> str:
        """All that members start from, as hashes."""
        control = _hash_of(self._analysis, self._forcing)
        others = [*self._initial.hashes, *([str(self._initial.age)] if self._initial.age else [])]
        return " ".join([control, *others])


def towers_for(spec: ForecastSpec) -> Any:
    """The type in which towers multiply; ForecastError where the device is not made for it."""
    if spec.towers == "bfloat16" and jax.default_backend() == "cpu":
        raise ForecastError(
            "towers in bfloat16 are for GPUs, where they are faster; this process computes on a CPU: "
            'set forecast.towers = "float32"'
        )
    return jnp.bfloat16 if spec.towers == "bfloat16" else None


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


def _taken_in(spool: Spool, hour: int, identities: Sequence[Identity]) -> Fields:
    """The fields of members at a lead time [h], one behind another; no more than one member is there twice."""
    joined: Fields = {}
    for place, identity in enumerate(identities):
        for name, values in spool.take(hour, identity.member).items():
            joined.setdefault(name, np.empty((len(identities), *values.shape), values.dtype))[place] = values
    return joined


def _dimensions(values: np.ndarray) -> tuple[str, ...]:
    return ("member", "level", "longitude", "latitude") if values.ndim == 4 else ("member", "longitude", "latitude")


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
