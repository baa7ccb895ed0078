"""Pages for people: what a store holds, and what a run published. Plain HTML that needs no script."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template

from publish.layout import LATEST
from publish.manifest import Manifest, PublishedObject
from publish.stac import CATALOG, Entry, collection_key, relative

INDEX = "index.html"
MEDIA_TYPE = "text/html"

_NEWEST = 120
"""Runs that the page of a store lists; the catalogue has all."""
_MEBI = 1 << 20


def store_page(entries: Iterable[Entry]) -> bytes:
    """The page of a store: its newest runs, and the ways in."""
    ordered = sorted(entries, reverse=True)
    rows = [
        f'<tr><th scope="row"><a href="{_address(INDEX, each.run_prefix + INDEX)}">'
        f"{each.init_time:%a %d %b %Y %H} UTC</a></th><td>{escape(each.product)}</td>"
        f"<td>{_degrees(each.grid)}</td></tr>"
        for each in ordered[:_NEWEST]
    ]
    products = sorted({each.product for each in ordered})
    more = (
        f'<p class="note">{len(ordered) - _NEWEST} earlier runs are in the catalogue.</p>'
        if len(ordered) > _NEWEST
        else ""
    )
    main = [
        "<h2>Runs</h2>",
        _table(("Cycle", "Product", "Grid"), rows),
        more,
        "<h2>For programs</h2><dl>",
        _pair("Newest complete run", f'<a href="./{LATEST}"><code>{LATEST}</code></a>'),
        _pair("STAC catalogue", f'<a href="./{CATALOG}"><code>{CATALOG}</code></a>'),
        *(
            _pair(f"STAC collection of {escape(each)}", _link_to(INDEX, collection_key(each), collection_key(each)))
            for each in products
        ),
        "</dl>",
    ]
    return _page("Forecasts", "<h1>Forecasts</h1>", main)


def run_page(manifest: Manifest, state: str = "complete", reason: str | None = None) -> bytes:
    """The page of a run. `state` other than complete, and its `reason`, stand above everything else."""
    entry = Entry.of(manifest)
    here = entry.run_prefix + INDEX
    header = f"<h1>{escape(manifest.product)}, {manifest.init_time:%a %d %b %Y %H} UTC</h1>"
    header += f'\n<p><a href="{_address(here, INDEX)}">All runs</a></p>'
    charts = [each for each in manifest.objects if each.kind == "chart"]
    main = [
        _alarm(manifest, state, reason),
        _facts(manifest, here, entry),
        _pictures(charts, here),
        _products([each for each in manifest.objects if each.kind != "chart"], here),
        _how_to_read(manifest),
        _proofs(manifest.objects, here),
    ]
    return _page(f"{manifest.product} {manifest.init_time:%Y-%m-%d %H} UTC", header, main)


def _page(title: str, header: str, main: Iterable[str]) -> bytes:
    data = files("publish").joinpath("data")
    template = Template(data.joinpath("page.html").read_text(encoding="utf-8"))
    style = data.joinpath("page.css").read_text(encoding="utf-8")
    text = template.substitute(
        title=escape(title), style=style, header=header, main="\n".join(part for part in main if part)
    )
    return text.encode()


def _alarm(manifest: Manifest, state: str, reason: str | None) -> str:
    if state != "complete":
        return f'<p class="alarm"><strong>This run is {escape(state)}.</strong> {escape(reason or "")}</p>'
    if manifest.partial:
        lost = ", ".join(f"{each.get('member')}" for each in manifest.lost)
        return f'<p class="alarm"><strong>Members are missing</strong>{": " + escape(lost) if lost else ""}.</p>'
    return ""


def _facts(manifest: Manifest, here: str, entry: Entry) -> str:
    last = max(manifest.lead_hours)
    told = {
        "Model": escape(str(manifest.provenance.get("model", "unknown"))),
        "Members": f"{len(manifest.members)} of {manifest.ensemble_size}, control included",
        "Lead times": f"{len(manifest.lead_hours)}, to T+{last} h ({last / 24:g} days)",
        "Grid": _degrees(entry.grid),
        "Published": f"{manifest.published_at:%Y-%m-%d %H:%M} UTC",
        "Issued by": "" if manifest.institution == "unspecified" else escape(manifest.institution),
        "Licence": escape(manifest.licence),
        "Run": f"<code>{escape(manifest.run_id)}</code>",
        "Proof": _link_to(here, f"{entry.run_prefix}manifest.json", "manifest.json"),
        "STAC item": _link_to(here, entry.key, entry.key.rpartition("/")[2]),
    }
    return "<dl>" + "".join(_pair(name, value) for name, value in told.items() if value) + "</dl>"


def _pictures(charts: Sequence[PublishedObject], here: str) -> str:
    if not charts:
        return ""
    shown = []
    for each in charts:
        name = _chart_name(each.key)
        address = _address(here, each.key)
        shown.append(
            f'<li><a href="{address}"><img src="{address}" alt="{escape(name)}" loading="lazy"></a>{escape(name)}</li>'
        )
    return f'<h2>Pictures</h2>\n<ul class="pictures">{"".join(shown)}</ul>'


def _chart_name(key: str) -> str:
    """Words for a chart's file name: plume-london is "plume london"."""
    return key.rpartition("/")[2].partition("-")[2].removesuffix(".png").replace("-", " ")


def _products(objects: Sequence[PublishedObject], here: str) -> str:
    ordered = sorted(objects, key=lambda each: (each.lead_hours is None, each.lead_hours or 0, each.key))
    rows = []
    for hours, those in groupby(ordered, key=lambda each: each.lead_hours):
        links = [
            f'<a href="{_address(here, each.key)}">{escape(each.kind)}</a> '
            f'<span class="note">({_suffix(each.key)}, {_size(each.bytes)})</span>'
            for each in those
            if each.kind not in ("index", "inventory", "zarr part")
        ]
        when = "whole run" if hours is None else f"T+{hours} h"
        if links:
            rows.append(f'<tr><th scope="row">{when}</th><td>{", ".join(links)}</td></tr>')
    return "<h2>Products</h2>\n" + _table(("Lead time", "Files"), rows)


def _how_to_read(manifest: Manifest) -> str:
    product = manifest.product
    recipe = (
        "from ecmwf.opendata import Client\n"
        f'client = Client(source="ADDRESS OF THIS STORE", model="{product}", resol="{Entry.of(manifest).grid}")\n'
        'client.retrieve(type="pf", param="t", levelist=500, step=24, target="t500.grib2")'
    )
    return (
        "<h2>How to read them</h2>\n<p>GRIB2 opens with cfgrib, NetCDF with any tool; beside each GRIB2 file lie an "
        "<code>.index</code> as ECMWF's and an <code>.idx</code> as NCEP's, so that single fields can be fetched.</p>\n"
        f"<pre><code>{escape(recipe)}</code></pre>"
    )


def _proofs(objects: Sequence[PublishedObject], here: str) -> str:
    rows = [
        f'<tr><th scope="row">{_link_to(here, each.key, each.key.rpartition("/")[2])}</th>'
        f'<td class="number">{each.bytes}</td><td><code>{each.sha256}</code></td></tr>'
        for each in objects
    ]
    table = _table(("File", "Bytes", "SHA-256"), rows)
    return f"<h2>Checksums</h2>\n<details><summary>SHA-256 of {len(rows)} files</summary>\n{table}</details>"


def _table(columns: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{"".join(rows)}</tbody></table></div>'


def _pair(name: str, value: str) -> str:
    return f"<dt>{name}</dt><dd>{value}</dd>"


def _address(here: str, there: str) -> str:
    return escape(relative(here, there), quote=True)


def _link_to(here: str, there: str, text: str) -> str:
    return f'<a href="{_address(here, there)}"><code>{escape(text)}</code></a>'


def _suffix(key: str) -> str:
    return escape(key.rpartition(".")[2])


def _size(count: int) -> str:
    return f"{count / _MEBI:.1f} MiB" if count >= _MEBI / 10 else f"{count / 1024:.0f} KiB"


def _degrees(grid: str) -> str:
    return f"{float(grid.replace('p', '.')):g}°"
