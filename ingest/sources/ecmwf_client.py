"""What ECMWF's own client knows of its open data: where a file is, and which bytes of it an index offers.

The client opens no connection here: it is given the index, which was fetched with our limits on time and tries.
"""

import io
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

import requests
from ecmwf.opendata import Client
from ecmwf.opendata.urls import URLS

from ingest.feed import Item, Part
from ingest.index import Entry

MIRRORS = {name: URLS[name] for name in ("ecmwf", "google", "aws")}
"""Addresses of the mirrors, best first."""

LEVELS = (10, 50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
"""Pressure levels [hPa]."""

_LEVEL_PARAMS = {
    "geopotential_height": "gh",
    "air_temperature": "t",
    "eastward_wind": "u",
    "northward_wind": "v",
    "specific_humidity": "q",
    "relative_humidity": "r",
}
_SURFACE_PARAMS = {"surface_temperature": "skt", "land_area_fraction": "lsm"}

OFFER = frozenset(
    [Item(quantity, level) for quantity in _LEVEL_PARAMS for level in LEVELS]
    + [Item(quantity) for quantity in _SURFACE_PARAMS]
)
"""What a file of analyses holds of our quantities."""


class AnalysisFile:
    """The file with step 0 of a cycle under the address `root`: that of the control, or of all perturbed members.

    From cycle 50r1 on (2026-05-12 06 UTC) stream enfo holds no control, and oper holds it at all hours; so the
    control is never asked of enfo.
    """

    def __init__(self, root: str, cycle: datetime, member: int | None) -> None:
        self._client = Client(source=root.rstrip("/"), model="ifs", resol="0p25", maximum_retries=1)
        stream, kind = ("oper", "fc") if member is None else ("enfo", "pf")
        self._keys: dict[str, Any] = {"stream": stream, "type": kind, "step": 0}
        self._number = {} if member is None else {"number": str(member)}
        request = self._keys | {"date": cycle.strftime("%Y%m%d"), "time": cycle.hour}
        self.url: str = self._client._get_urls(request, use_index=False).urls[0]

    @property
    def index_url(self) -> str:
        """The address of its index."""
        return self.url.removesuffix(".grib2") + ".index"

    @property
    def details(self) -> dict[str, Any]:
        """Its stream, type, step and member, in the provider's words."""
        return self._keys | {name: int(text) for name, text in self._number.items()}

    def offered(self, entries: Collection[Entry]) -> dict[Item, Entry]:
        """Those of our fields that an index lists."""
        wanted = {"type": self._keys["type"], "step": "0", **self._number}
        found = {}
        for entry in entries:
            item = _item(entry) if entry.says(**wanted) else None
            if item is not None:
                found[item] = entry
        return found

    def select(self, index: bytes, items: Collection[Item]) -> list[Part]:
        """The bytes that the provider's client would fetch for the items, in its order."""
        self._client.session = _Shelf(index)
        by_param: dict[str, list[Item]] = defaultdict(list)
        for item in sorted(items, key=str):
            by_param[_param(item)].append(item)
        parts: list[Part] = []
        for param, group in by_param.items():
            request = self._keys | self._number | {"param": param} | _levels(group)
            _, for_index = self._client.prepare_request(request)
            for _, ranges in self._client.get_parts([self.url], for_index):
                parts += (Part(*bounds) for bounds in ranges)
        return parts


class _Shelf(requests.Session):
    """Stands where the client expects its connection, and gives the index that is already here."""

    def __init__(self, index: bytes) -> None:
        super().__init__()
        self._index = index

    def get(self, url: str | bytes, **options: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO(self._index)
        return response


def _param(item: Item) -> str:
    return (_SURFACE_PARAMS if item.level is None else _LEVEL_PARAMS)[item.quantity]


def _levels(items: Collection[Item]) -> dict[str, Any]:
    levels = [str(item.level) for item in items if item.level is not None]
    return {"levtype": "pl", "levelist": levels} if levels else {"levtype": "sfc"}


def _item(entry: Entry) -> Item | None:
    """The field of an index line, None when it is none of ours."""
    on_levels = entry.says(levtype="pl")
    if not on_levels and not entry.says(levtype="sfc"):
        return None
    params = _LEVEL_PARAMS if on_levels else _SURFACE_PARAMS
    level = entry.keys.get("levelist", "")
    for quantity, param in params.items():
        if entry.says(param=param) and level.isdigit() == on_levels:
            return Item(quantity, int(level) if on_levels else None)
    return None
