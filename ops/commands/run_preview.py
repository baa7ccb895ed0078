"""What `sigmacast run --dry-run` prints."""

from typing import TYPE_CHECKING

from forecast.times import format_cycle
from ops.commands.output import say, size
from ops.commands.plain import amount_in, bytes_in, seconds_in

if TYPE_CHECKING:
    from ops.estimate import Estimate
    from ops.preview import Preview

WOULD = {
    None: "would be made",
    "published": "is published already; nothing would be done",
    "running": "is running; this command would say so, or take it over if its process is gone",
    "created": "is on record, and would be begun",
    "interrupted": "was interrupted, and would go on from what it has saved",
    "failed": "failed, and would go on from what it has saved",
}
"""What the command would do with a run in each state."""


def tell(found: "Preview") -> None:
    """The plan, what it will take, and whether there is room."""
    products, leads = found.products, found.products.lead_hours
    say(f"Run        {found.run} {WOULD[found.state]}")
    say(f"Cycle      {format_cycle(found.cycle)}, analysis from {found.source}")
    say(f"Model      {found.model} ({found.model_hash[:12]})")
    say(f"Members    {found.members}, {found.days:g} days")
    say(f"Lead times {len(leads)} published, {leads[0]} to {leads[-1]} h")
    say(f"Products   {', '.join(products.formats)} on {products.grid_spacing:g} degrees")
    say(f"           {', '.join(products.fields)}")
    say(f"           at {', '.join(map(str, products.levels))} hPa")
    if found.estimate is None:
        say("Time       not known: no run of this model was published on this machine yet, and nothing is assumed")
    else:
        _tell_estimate(found, found.estimate)
    if found.cost is not None:
        say(f"Cost       {amount_in(found.cost)} {found.currency}")


def _tell_estimate(found: "Preview", one: "Estimate") -> None:
    same = "with the same products and source" if one.alike else "with other products or sources among them"
    runs = "1 run, so without bounds," if one.runs == 1 else f"{one.runs} runs"
    say(f"Time       {seconds_in(one.seconds)}, from {runs} {same} on {one.device}")
    for name, spread in one.stages.items():
        say(f"           {name} {seconds_in(spread)}")
    say(f"Memory     {bytes_in(one.peak_memory_bytes) if one.peak_memory_bytes else _UNKNOWN}")
    objects = f" in {one.product_count.middle:.0f} objects" if one.product_count else ""
    room = f"; {size(found.store_free_bytes)} free" if found.store_free_bytes is not None else ""
    say(f"Store      {bytes_in(one.product_bytes) if one.product_bytes else _UNKNOWN}{objects}{room}")
    room = f"; {size(found.work_free_bytes)} free" if found.work_free_bytes is not None else ""
    say(f"Work       {bytes_in(one.work_bytes) if one.work_bytes else _UNKNOWN}{room}")


_UNKNOWN = "not known: none of these runs recorded it"
