"""A static SpatioTemporal Asset Catalog of a store: catalogue, a collection per product line, an item per run.

STAC 1.1.0 with the extensions forecast 0.2.0 and file 2.1.0 (checksums as multihashes). An item has an asset for
every object of its run but the sidecars of GRIB files, which lie beside them. All links are relative, so a store
can be copied or served from anywhere.
"""

import json
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pystac

from forecast.times import format_cycle, parse_cycle, require_utc
from publish.layout import resolution
from publish.manifest import Manifest, PublishedObject

CATALOG = "catalog.json"
MEDIA_TYPE = "application/json"
FORECAST = "https://stac-extensions.github.io/forecast/v0.2.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"

_GLOBE = [-180.0, -90.0, 180.0, 90.0]
_RING = [[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0], [-180.0, -90.0]]
_SHA256 = "1220"
"""Prefix of a multihash: SHA2-256, 32 octets."""
_SIDECARS = frozenset({"index", "inventory", "zarr part"})
_ROLES = {"chart": ["overview"]}
_ITEM = re.compile(r"stac/(?P<product>[^/]+)/(?P<cycle>\d{8}T\d\d)-(?P<grid>[^/]+)\.json")

_RUN = re.compile(r"(?P<day>\d{8})/(?P<hour>\d\d)z/(?P<product>[^/]+)/(?P<grid>[^/]+)")


@dataclass(frozen=True, order=True)
class Entry:
    """One item of the catalogue, as much of it as its key says."""

    init_time: datetime
    product: str
    grid: str

    @property
    def key(self) -> str:
        """Key of the item."""
        return f"{collection_prefix(self.product)}{format_cycle(self.init_time)}-{self.grid}.json"

    @property
    def run_prefix(self) -> str:
        """What the keys of the run's objects begin with, slash included."""
        return f"{self.init_time:%Y%m%d}/{self.init_time:%H}z/{self.product}/{self.grid}/"

    @classmethod
    def of(cls, manifest: Manifest) -> "Entry":
        """The entry of a run."""
        return cls(require_utc(manifest.init_time), manifest.product, resolution(manifest.grid_spacing))

    @classmethod
    def of_run(cls, prefix: str) -> "Entry":
        """The entry of the run whose objects are below this prefix. ValueError for any other text."""
        found = _RUN.fullmatch(prefix.rstrip("/"))
        if found is None:
            raise ValueError(f"expected the prefix of a run such as 20261121/00z/product/0p25, got {prefix!r}")
        return cls(parse_cycle(found["day"] + found["hour"]), found["product"], found["grid"])

    @classmethod
    def from_key(cls, key: str) -> "Entry | None":
        """The entry of an item's key, None for any other key."""
        found = _ITEM.fullmatch(key)
        return cls(parse_cycle(found["cycle"] + ":00"), found["product"], found["grid"]) if found else None


def collection_prefix(product: str) -> str:
    """What the keys of a collection and its items begin with."""
    return f"stac/{product}/"


def collection_key(product: str) -> str:
    """Key of the collection of a product line."""
    return f"{collection_prefix(product)}collection.json"


def item(manifest: Manifest, manifest_key: str, manifest_sha256: str, manifest_bytes: int) -> bytes:
    """The item of a run."""
    entry, start = Entry.of(manifest), require_utc(manifest.init_time)
    end = start + timedelta(hours=max(manifest.lead_hours))
    made = pystac.Item(
        id=f"{entry.product}-{format_cycle(start)}-{entry.grid}",
        geometry={"type": "Polygon", "coordinates": [_RING]},
        bbox=_GLOBE,
        datetime=start,
        start_datetime=start,
        end_datetime=end,
        properties=_properties(manifest),
        stac_extensions=[FORECAST, FILE],
        collection=manifest.product,
    )
    told = PublishedObject(
        manifest_key, manifest_bytes, manifest_sha256, "manifest", MEDIA_TYPE, None, manifest.members
    )
    for each in (told, *(one for one in manifest.objects if one.kind not in _SIDECARS)):
        made.add_asset(asset_name(each.key), _asset(each, entry.key))
    _link(made, "root", entry.key, CATALOG)
    _link(made, "parent", entry.key, collection_key(manifest.product))
    _link(made, "collection", entry.key, collection_key(manifest.product))
    _link(made, "alternate", entry.key, f"{entry.run_prefix}index.html", "text/html", "For people")
    return _bytes(made.to_dict(include_self_link=False, transform_hrefs=False))


def _properties(manifest: Manifest) -> dict[str, Any]:
    return {
        "title": f"{manifest.product} from {manifest.init_time:%Y-%m-%d %H} UTC",
        "created": _text(manifest.published_at),
        "updated": _text(manifest.published_at),
        "license": licence(manifest.licence),
        "forecast:reference_datetime": _text(manifest.init_time),
        "forecast:duration": _duration(max(manifest.lead_hours)),
        "sigmacast:run_id": manifest.run_id,
        "sigmacast:members": len(manifest.members),
        "sigmacast:ensemble_size": manifest.ensemble_size,
        "sigmacast:partial": manifest.partial,
    }


def _asset(each: PublishedObject, item_key: str) -> pystac.Asset:
    fields: dict[str, Any] = {"file:size": each.bytes, "file:checksum": _SHA256 + each.sha256}
    if each.lead_hours is not None:
        fields["forecast:horizon"] = _duration(each.lead_hours)
    if each.kind == "control":
        fields["forecast:perturbed"] = False
    roles = ["metadata"] if each.kind == "manifest" else _ROLES.get(each.kind, ["data"])
    return pystac.Asset(
        relative(item_key, each.key), media_type=each.media_type, roles=roles, title=title(each), extra_fields=fields
    )


def title(each: PublishedObject) -> str:
    """What an object is, for people."""
    when = "whole run" if each.lead_hours is None else f"T+{each.lead_hours} h"
    return f"{each.kind}, {when}"


def asset_name(key: str) -> str:
    """Name of an asset: the file's, without the cycle that all of an item share."""
    return re.sub(r"^\d{14}-", "", key.rpartition("/")[2])


def collection(newest: Manifest, entries: Iterable[Entry]) -> bytes:
    """The collection of a product line; licence and issuer are those of the newest manifest."""
    entries = sorted(entries)
    first, last = entries[0].init_time, entries[-1].init_time
    extent = pystac.Extent(pystac.SpatialExtent([_GLOBE]), pystac.TemporalExtent([[first, None]]))
    made = pystac.Collection(
        id=newest.product,
        title=f"{newest.product} ensemble forecasts",
        description=f"Global ensemble forecasts of the product line {newest.product}, an item per run.",
        extent=extent,
        license=licence(newest.licence),
        keywords=["weather", "forecast", "ensemble"],
        providers=_providers(newest),
        summaries=pystac.Summaries({"forecast:reference_datetime": {"minimum": _text(first), "maximum": _text(last)}}),
        stac_extensions=[FORECAST],
    )
    here = collection_key(newest.product)
    _link(made, "root", here, CATALOG)
    _link(made, "parent", here, CATALOG)
    for entry in entries:
        _link(made, "item", here, entry.key, "application/geo+json", f"{entry.init_time:%Y-%m-%d %H} UTC, {entry.grid}")
    return _bytes(made.to_dict(include_self_link=False, transform_hrefs=False))


def catalog(products: Iterable[str]) -> bytes:
    """The root of the catalogue: a link per product line."""
    made = pystac.Catalog(
        id="sigmacast", title="Forecasts", description="Global ensemble forecasts, a collection per product line."
    )
    _link(made, "root", CATALOG, CATALOG)
    for product in sorted(products):
        _link(made, "child", CATALOG, collection_key(product), title=product)
    _link(made, "alternate", CATALOG, "index.html", "text/html", "For people")
    return _bytes(made.to_dict(include_self_link=False, transform_hrefs=False))


def licence(text: str) -> str:
    """The SPDX name of a Creative Commons licence or of one without spaces; `other` for what is none."""
    spdx = text.strip().replace(" ", "-")
    known = spdx.startswith(("CC-BY-", "CC0-")) or (" " not in text.strip() and text not in ("", "unspecified"))
    return spdx if known and re.fullmatch(r"[\w.+-]+", spdx) else "other"


def _providers(manifest: Manifest) -> list[pystac.Provider] | None:
    if manifest.institution == "unspecified":
        return None
    roles = [pystac.ProviderRole.PRODUCER, pystac.ProviderRole.LICENSOR]
    return [pystac.Provider(manifest.institution, roles=roles)]


def relative(here: str, there: str) -> str:
    """The relative address of the object `there` in a document under the key `here`."""
    path = posixpath.relpath(there, posixpath.dirname(here) or ".")
    return path if path.startswith("../") else f"./{path}"


def _link(
    made: pystac.STACObject,
    rel: str,
    here: str,
    there: str,
    media_type: str = MEDIA_TYPE,
    title: str | None = None,
) -> None:
    if rel == "root":
        made.remove_links("root")
    made.add_link(pystac.Link(rel, relative(here, there), media_type=media_type, title=title))


def _duration(hours: int) -> str:
    """ISO 8601: PT6H."""
    return f"PT{hours}H"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _bytes(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False) + "\n").encode()
