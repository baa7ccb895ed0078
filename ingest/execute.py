"""Carries a plan out: fetches what it asks for, reads only that, and makes the analysis.

The analysis must come out as planned: its provenance is compared with the plan.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from ingest.analysis import Analysis, InputFile
from ingest.assemble import Assembly
from ingest.canonical import RawField
from ingest.errors import Broken, Incomplete
from ingest.feed import Feed, Fetched, Item
from ingest.grib import Header
from ingest.plan import Plan, Request, disagreements, in_order, told
from ingest.reader import reader_of
from ingest.source import ModelNeeds

OnFetch = Callable[[str, int, int | None], None]
"""Told the feed, and the bytes had so far and in all, None when that is not known."""


@dataclass
class Inputs:
    """Files that were fetched for a plan, by request."""

    files: dict[Request, list[Fetched]] = field(default_factory=dict)

    def described(self) -> list[InputFile]:
        """Every file once, with its hash, its valid time and when it was fetched."""
        found: dict[tuple[str, str], InputFile] = {}
        for request, files in self.files.items():
            for one in files:
                found[one.uri, one.sha256] = {
                    "uri": one.uri,
                    "sha256": one.sha256,
                    "bytes": one.bytes,
                    "source": one.source,
                    "valid_time": request.cycle.isoformat(),
                    "retrieved_at": one.retrieved_at.isoformat(timespec="seconds"),
                    "details": dict(one.details),
                }
        return list(found.values())


def fetch_inputs(plan: Plan, feeds: Mapping[str, Feed], progress: OnFetch = lambda feed, had, total: None) -> Inputs:
    """The files that a plan asks for, in the input cache. Raises SourceError."""
    require_possible(plan)
    inputs = Inputs()
    for request in plan.requests:

        def on_bytes(had: int, total: int | None, feed: str = request.feed) -> None:
            progress(feed, had, total)

        inputs.files[request] = feeds[request.feed].fetch(request.cycle, request.items | request.above, on_bytes)
    return inputs


def require_possible(plan: Plan) -> None:
    """Raises Incomplete naming everything that a plan has to refuse."""
    if plan.refused:
        reasons = "; ".join(f"{told(row.places)}: {row.method}" for row in plan.refused)
        raise Incomplete(
            f"no analysis of {plan.cycle:%Y-%m-%dT%H} can be made from {' and '.join(plan.chain) or 'no source'}: "
            f"{reasons}; add a source to ingest.chain, or allow a degraded start"
        )


def carry_out(plan: Plan, needs: ModelNeeds, inputs: Inputs, members: Mapping[str, int] | None = None) -> Analysis:
    """The analysis, made as planned from files that were fetched; `members` names a feed's member if it is not 0.

    Raises Broken when a file lacks what it was fetched for, or the analysis came out otherwise than planned, and
    the errors of the checks.
    """
    assembly = Assembly(needs, f"the analysis of {plan.state_cycle:%Y-%m-%dT%H}")
    for request, files in inputs.files.items():
        _read(assembly, request, files, (members or {}).get(request.feed, 0))
    analysis = assembly.build(plan.state_cycle, inputs.described())
    if found := disagreements(plan, analysis.provenance):
        raise Broken(f"the analysis did not come out as planned: {'; '.join(found[:5])}; fetch its files again")
    return replace(analysis, plan=plan.document())


def _read(assembly: Assembly, request: Request, files: Sequence[Fetched], member: int) -> None:
    """Give an assembly the fields that a request asked for. Raises Broken when one is not in the files."""
    missing = set(request.items | request.above)
    with closing(_fields(request, files, member)) as fields:
        for raw in fields:
            item = Item(raw.quantity.name, raw.level)
            if item in missing:
                missing.discard(item)
                if item in request.items:
                    assembly.add(raw, request.feed)
                if item in request.above:
                    assembly.add_above(raw)
    if missing:
        raise Broken(
            f"{request.feed} for {request.cycle:%Y-%m-%dT%H}: expected every field asked for, the files lack "
            f"{', '.join(map(str, in_order(missing)[:5]))} ({len(missing)} in all); fetch them again"
        )


def _fields(request: Request, files: Sequence[Fetched], member: int) -> Generator[RawField, None, None]:
    """The fields of a request, file by file, under the name of their feed."""
    wanted_items = request.items | request.above

    def wanted(header: Header) -> bool:
        item = Item(header.quantity.name, header.level)
        return header.valid_time == request.cycle and header.member == member and item in wanted_items

    for file in files:
        for raw in reader_of(file.path).read_fields(file.path, wanted):
            yield replace(raw, file_name=request.feed)
