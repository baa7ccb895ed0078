"""Members through the windows of a forecast, on all devices: who fails starts anew, and is given up in the end.

Each device has members of its own and a thread that hands it work. An accelerator is one batch ahead of what the host
takes away, so it never waits for it; a CPU is the host itself, and two batches at once need twice the memory.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Lock
from typing import Any

import jax
import numpy as np

from forecast.devices import Device
from forecast.errors import QuorumLost
from forecast.members import Decoding, Identity, Members
from forecast.model_state import ModelState
from forecast.rollout import Window
from forecast.spec import ForecastSpec
from forecast.spool import Spool
from forecast.times import lead_hours

OnProgress = Callable[[timedelta, float, float], None]
"""Told the lead time reached, the member hours done and the member hours of the whole forecast."""

Failures = dict[int, tuple[int, str]]
"""For each member that failed the lead time [h] and what was wrong."""

_LOG = logging.getLogger(__name__)


class Stopped(Exception):
    """Nobody wants the forecast any more."""


@dataclass
class Member:
    """A member on its way, and where it is."""

    identity: Identity
    state: ModelState

    @property
    def number(self) -> int:
        """Which member it is."""
        return self.identity.member


@dataclass(frozen=True)
class Finished:
    """A window that all members have come through, their `states` at its end, on the host and in the order of
    `identities`, and all members that were given up so far. The fields are in the spool.
    """

    window: Window
    identities: tuple[Identity, ...]
    states: list[ModelState]
    lost: tuple[Mapping[str, Any], ...]


class Integration:
    """Takes members through windows.

    Fields go into the `spool`; `forcing_at` gives the forcing at a lead time [h], `begin` members at the cycle.
    Raises QuorumLost when too few members are left.
    """

    def __init__(
        self,
        members: Members,
        spool: Spool,
        spec: ForecastSpec,
        forcing_at: Callable[[int], Mapping[str, np.ndarray]],
        begin: Callable[[Sequence[Identity]], list[Member]],
        on_progress: OnProgress,
        lost: Sequence[Mapping[str, Any]] = (),
    ):
        self._members = members
        self._spool = spool
        self._spec = spec
        self._forcing_at = forcing_at
        self._begin = begin
        self._on_progress = on_progress
        self._lost = list(lost)
        self._stop = Event()

    def stop(self) -> None:
        """Give up soon: `windows` raises Stopped."""
        self._stop.set()

    def windows(self, windows: Iterator[Window], members: list[Member]) -> Iterator[Finished]:
        """The windows one after another, from members at the start of the first."""
        for window in windows:
            members = self._through(window, members)
            states = jax.device_get([member.state for member in members])
            self._members.forget_the_start()
            yield Finished(window, tuple(member.identity for member in members), states, tuple(self._lost))

    def _through(self, window: Window, members: list[Member]) -> list[Member]:
        """The members at the end of a window, with their outputs; those that had to be given up are left out."""
        pending, settled = members, []
        while pending:
            starts = [member.state for member in pending]
            failures = self._integrate(window, pending, len(settled))
            settled += [member for member in pending if member.number not in failures]
            pending = self._reseeded(window, pending, starts, failures)
        return sorted(settled, key=lambda member: member.number)

    def _integrate(self, window: Window, members: list[Member], settled: int) -> Failures:
        """Advance members through a window, those of each device in a thread of its own."""
        groups = by_device(members)
        progress = _Progress(self._spec, self._on_progress, settled, {device: len(groups[device]) for device in groups})
        failures: Failures = {}
        with ThreadPoolExecutor(len(groups), thread_name_prefix="device") as devices:
            futures = [
                devices.submit(copy_context().run, self._on_device, window, group, progress.of(device))
                for device, group in groups.items()
            ]
            try:
                for future in futures:
                    failures |= future.result()
            except BaseException:
                self.stop()
                raise
        return failures

    def _on_device(self, window: Window, members: list[Member], reached: Callable[[int, int], None]) -> Failures:
        """Members of one device through a window, batch by batch, as many under way as the device takes at once."""
        failures: Failures = {}
        under_way: deque[_Batch] = deque()
        most = 1 if self._members.on_host else 2
        for hour, output in zip((window.start, *window.outputs), window.outputs, strict=False):
            running = [member for member in members if member.number not in failures]
            for batch in self._members.batches(running):
                under_way.append(self._launched(batch, hour, output))
                if len(under_way) == most:
                    under_way.popleft().collect(failures, self._spool)
            reached(output, len(running))
        while under_way:
            under_way.popleft().collect(failures, self._spool)
        return failures

    def _launched(self, members: list[Member], hour: int, output: int) -> "_Batch":
        """A batch on its way to an output, and its fields there."""
        if self._stop.is_set():
            raise Stopped
        if output > hour:
            advance(self._members, members, self._forcing_at(hour), hour, output)
        forcing = self._forcing_at(output)
        return _Batch(output, [(member, self._members.decoding(member.state, forcing)) for member in members])

    def _reseeded(
        self, window: Window, members: list[Member], starts: list[ModelState], failures: Failures
    ) -> list[Member]:
        """The failed members ready for another attempt at the window, less those that are given up."""
        again: list[Member] = []
        for member, state in zip(members, starts, strict=True):
            number, attempt = member.number, member.identity.attempt
            if number not in failures:
                continue
            hour, reason = failures[number]
            _LOG.warning("member %d, attempt %d, at %d h: %s", number, attempt, hour, reason)
            if attempt >= self._spec.reseed_limit:
                self._give_up(number, hour, reason)
            else:
                again += self._restarted(window, state, Identity(number, attempt + 1))
        return again

    def _restarted(self, window: Window, state: ModelState, identity: Identity) -> list[Member]:
        if window.start == 0:
            return self._begin([identity])
        return [Member(identity, self._members.reseed(state, identity))]

    def _give_up(self, number: int, hour: int, reason: str) -> None:
        self._lost.append({"member": number, "lead_time_hours": hour, "reason": reason})
        left = self._spec.members - len(self._lost)
        if left < self._spec.quorum * self._spec.members:
            reasons = "; ".join(f"member {loss['member']}: {loss['reason']}" for loss in self._lost)
            raise QuorumLost(
                f"{left} of {self._spec.members} members are left, the quorum is {self._spec.quorum:.0%}; "
                f"lost: {reasons}"
            )


@dataclass(frozen=True)
class _Batch:
    """Members on their way to an output [h], each with its fields there."""

    output: int
    decodings: list[tuple[Member, Decoding]]

    def collect(self, failures: Failures, spool: Spool) -> None:
        """Wait for the fields and put them into the spool; what a member did after it failed does not count."""
        for member, decoding in self.decodings:
            if member.number not in failures:
                fields, wrong = decoding.result()
                spool.put(self.output, member.number, fields)
                if wrong is not None:
                    failures[member.number] = (self.output, wrong)


class _Progress:
    """Adds up how far the devices are."""

    def __init__(self, spec: ForecastSpec, tell: OnProgress, settled: int, groups: Mapping[Device, int]):
        self._total = lead_hours(spec.duration) * (settled + sum(groups.values()))
        self._tell = tell
        self._settled = settled
        self._at = {device: (0, count) for device, count in groups.items()}
        self._lock = Lock()

    def of(self, device: Device) -> Callable[[int, int], None]:
        """To be told the lead time [h] that so many members of a device have reached."""

        def reached(hour: int, members: int) -> None:
            with self._lock:
                self._at[device] = (hour, members)
                first = min(hour for hour, _ in self._at.values())
                done = first * self._settled + sum(hour * members for hour, members in self._at.values())
                self._tell(timedelta(hours=first), float(done), float(self._total))

        return reached


def advance(
    members: Members, group: Sequence[Member], forcing: Mapping[str, np.ndarray], hour: int, until: int
) -> None:
    """Take members of one device from one lead time to another [h]."""
    states, identities = [member.state for member in group], [member.identity for member in group]
    for member, state in zip(group, members.advance(states, identities, forcing, hour, until - hour), strict=True):
        member.state = state


def by_device(members: Sequence[Member]) -> dict[Device, list[Member]]:
    """The members that each device has."""
    groups: dict[Device, list[Member]] = {}
    for member in members:
        groups.setdefault(member.state.device, []).append(member)
    return groups
