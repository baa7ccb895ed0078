"""What a run starts from: the analysis, and those of perturbed members, fetched once and kept in the run's directory.

Members come one after another, so that no more than one analysis is in memory, however many they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import xarray as xr

from forecast.initial import InitialConditions
from ingest.analysis import Analysis, InputFile
from ingest.errors import Broken, SourceError
from ingest.outlook import Climatology, with_outlook
from ingest.plan import Plan
from ingest.source import ModelNeeds, Source
from ingest.sources.chain import ChainSource
from ops import log
from ops.errors import ConfigurationError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class MemberStart:
    """The saved analysis of a perturbed member: hash of its values, and the files that only it was made of."""

    member: int
    path: Path
    values_sha256: str
    inputs: tuple[InputFile, ...]


@dataclass(frozen=True)
class Start:
    """The control's analysis, and the perturbed members' where each has its own."""

    cycle: datetime
    analysis: Analysis
    members: tuple[MemberStart, ...] = ()

    @property
    def initial(self) -> InitialConditions:
        """For the model; analyses of members are loaded as they are asked for."""
        hashes = tuple(one.values_sha256 for one in self.members)
        age = self.cycle - self.analysis.valid_time
        return InitialConditions(self.analysis.dataset, age, self._perturbed if self.members else None, hashes)

    @property
    def inputs(self) -> list[InputFile]:
        """Every file that was read, each once."""
        return [*self.analysis.inputs, *(one for member in self.members for one in member.inputs)]

    def _perturbed(self, member: int) -> xr.Dataset:
        return Analysis.from_netcdf(self.members[member - 1].path).dataset


@dataclass(frozen=True)
class Starter:
    """Fetches what a run starts from into `directory`, or finds it there; `members` counts the control.

    `accept` is called with each analysis before it counts; one that it raises for is not kept.
    """

    source: Source
    cycle: datetime
    needs: ModelNeeds
    members: int
    directory: Path
    climatology: Climatology | None = None
    days: int = 0
    accept: Callable[[Analysis], None] = lambda analysis: None

    def saved(self) -> Start | None:
        """What is there from an earlier attempt, None unless it is all there and sound."""
        control = _saved(self._path(0))
        if control is None:
            return None
        members = []
        for number in range(1, self.members):
            analysis = _saved(self._path(number))
            if analysis is None:
                return None
            members.append(self._member(number, analysis, control))
        return Start(self.cycle, control, tuple(members))

    def fetched(self) -> Start:
        """All of it; what an earlier attempt has saved is not fetched again. Raises SourceError."""
        control = self._accepted(0, self._control)
        return Start(self.cycle, control, tuple(self._perturbed(control)))

    def _control(self) -> Analysis:
        analysis = self.source.fetch(self.cycle, self.needs)
        if self.climatology is not None:
            days = self.days + -(-(self.cycle - analysis.valid_time) // DAY)
            analysis = with_outlook(analysis, self.climatology, days)
        return analysis

    def _perturbed(self, control: Analysis) -> Iterator[MemberStart]:
        for number in range(1, self.members):
            yield self._member(number, self._accepted(number, partial(self._own, control, number)), control)

    def _own(self, control: Analysis, member: int) -> Analysis:
        """The analysis of a perturbed member, by the control's plan."""
        if not isinstance(self.source, ChainSource) or control.plan is None:
            raise ConfigurationError(f"the source {self.source.name} has no perturbed analyses; take ecmwf")
        return self.source.fetch_member(Plan.from_document(control.plan), self.needs, member)

    def _accepted(self, member: int, made: Callable[[], Analysis]) -> Analysis:
        """The saved analysis of a member, or the one that is made; kept only when it is accepted."""
        path = self._path(member)
        analysis = _saved(path)
        if analysis is None:
            analysis = made()
            analysis.to_netcdf(path)
        try:
            self.accept(analysis)
        except SourceError:
            path.unlink()
            raise
        return analysis

    def _member(self, number: int, analysis: Analysis, control: Analysis) -> MemberStart:
        shared = {(one["uri"], one["sha256"]) for one in control.inputs}
        own = [one for one in analysis.inputs if (one["uri"], one["sha256"]) not in shared]
        inputs = tuple(InputFile({**one, "uri": f"{one['uri']}#member={number}"}) for one in own)
        return MemberStart(number, self._path(number), analysis.values_sha256, inputs)

    def _path(self, member: int) -> Path:
        return self.directory / ("analysis.nc" if member == 0 else f"analysis-{member:03d}.nc")


def forget_members(directory: Path) -> None:
    """Remove the analyses of perturbed members, which a published run needs no more."""
    for path in directory.glob("analysis-*.nc"):
        path.unlink()


def _saved(path: Path) -> Analysis | None:
    if not path.exists():
        return None
    try:
        return Analysis.from_netcdf(path)
    except Broken as error:
        log.get().warning("a saved analysis is fetched again", reason=str(error))
        return None
