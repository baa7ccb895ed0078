"""What a replay starts from: the analysis that the run has kept, or one made again and compared."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Engine

from db.schema import Input, Run
from ingest.analysis import Analysis, InputFile
from ingest.errors import Broken
from ingest.source import ModelNeeds, Source
from ops.clock import Clock
from ops.config import Settings
from ops.errors import InputRefused
from ops.progress import Progress
from ops.sources import opened
from ops.starts import Start

CONTROL = "analysis.nc"


@dataclass(frozen=True)
class _Kept:
    """The source of a run whose analysis is kept: nothing is fetched."""

    name: str

    def cycles(self) -> tuple[datetime, ...]:
        return ()

    def fetch(self, cycle: datetime, needs: ModelNeeds) -> NoReturn:
        raise InputRefused("the analysis that was kept for the replay is damaged: replay again")


def keep(run: Run, kept: Path, scratch: Path) -> bool:
    """Put the analysis that the run has kept where the replay looks for it; False when it is not there, or another.

    Analyses of perturbed members are not kept, so the replay of a run with its own for each member fetches again.
    """
    scratch.mkdir(parents=True)
    recorded = run.provenance or {}
    if "members" in recorded:
        return False
    try:
        analysis = Analysis.from_netcdf(kept / CONTROL)
    except (Broken, OSError):
        return False
    if analysis.sha256 != recorded.get("analysis_sha256"):
        return False
    analysis.to_netcdf(scratch / CONTROL)
    return True


def source(kept: bool, settings: Settings, engine: Engine, clock: Clock, progress: Progress) -> Source:
    """Where the analysis comes from when it was not kept. Raises ConfigurationError."""
    name = settings.source.name
    return _Kept(name) if kept else opened(settings, engine, clock, progress.download)


def same(run: Run, recorded: dict[str, Input], start: Start, directory: Path, kept: bool) -> str:
    """Compare what was fetched again with what is recorded, and say what was found.

    Products tell when files were retrieved: the saved analyses get the recorded times in the place of those of now.
    Raises InputRefused, naming it, for a file that is another one now.
    """
    if kept:
        return "kept since the run"
    for one in start.inputs:
        _require(run, one, recorded.get(one["uri"]))
    _remember(recorded, directory / CONTROL)
    for member in start.members:
        _remember(recorded, member.path, f"#member={member.member}")
    hashes = (run.provenance or {}).get("members", {})
    others = [one.member for one in start.members if hashes.get(str(one.member)) != one.values_sha256]
    control = Analysis.from_netcdf(directory / CONTROL)
    if control.sha256 == (run.provenance or {}).get("analysis_sha256") and not others:
        return "fetched again, the same"
    return "made again of the same files, and not the same: it is made in another way now"


def _require(run: Run, one: InputFile, before: Input | None) -> None:
    if before is None or before.sha256 != one["sha256"]:
        expected = f"SHA-256 {before.sha256}" if before else "no such file"
        raise InputRefused(
            f"run {run.id} cannot be replayed: its analysis is not kept any more, and {one['uri']} has SHA-256 "
            f"{one['sha256']} now, while {expected} is on record. Put the file back as it was, and replay again"
        )


def _remember(recorded: dict[str, Input], path: Path, mark: str = "") -> None:
    """Give the files that a saved analysis was made of the times of retrieval that are on record."""
    analysis = Analysis.from_netcdf(path)
    inputs = [_at_its_time(one, recorded.get(f"{one['uri']}{mark}") or recorded[one["uri"]]) for one in analysis.inputs]
    replace(analysis, inputs=inputs).to_netcdf(path)


def _at_its_time(one: InputFile, before: Input) -> InputFile:
    retrieved = (before.provenance or {}).get("retrieved_at")
    return InputFile({**one, "retrieved_at": retrieved}) if retrieved else one
