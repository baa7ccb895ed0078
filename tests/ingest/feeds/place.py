"""ECMWF's open data on loopback servers, and feeds of it with a cache in a folder, for the tests of that feed."""

from datetime import timedelta

from ingest.cache import InputCache
from ingest.download import Transfer
from ingest.feed import Item
from ingest.grib import read_fields
from ingest.mirrors import Mirrors
from ingest.sources.ecmwf_open import EcmwfOpenData
from tests.ingest.feeds.clock import WaitingClock
from tests.ingest.feeds.ecmwf import LEVELS
from tests.ingest.feeds.grib_maker import CYCLE

NAMES = {
    "gh": "geopotential_height",
    "t": "air_temperature",
    "u": "eastward_wind",
    "v": "northward_wind",
    "q": "specific_humidity",
    "r": "relative_humidity",
    "skt": "surface_temperature",
    "lsm": "land_area_fraction",
}
ITEMS = frozenset(
    [Item(NAMES[name], level) for name in ("gh", "t", "u", "v", "q") for level in LEVELS]
    + [Item("surface_temperature"), Item("land_area_fraction")]
)
FEW = frozenset([Item("air_temperature", 500), Item("geopotential_height", 850), Item("surface_temperature")])


class Place:
    """Feeds whose cache is one folder and whose mirrors are the servers."""

    def __init__(self, servers, folder):
        self.urls = {server.name: server.url for server in servers}
        self.folder = folder
        self.clock = WaitingClock()
        self.mirrors = Mirrors(self.urls, folder / "mirrors.json", clock=lambda: 1e9 + self.clock.now)

    def feed(self, member=None, now=CYCLE + timedelta(hours=7)):
        mover = Transfer(connections=2, block_timeout=0.2, first_wait=0.01)
        cache = InputCache(self.folder, 10**9)
        return EcmwfOpenData(cache, self.mirrors, member, mover, now=lambda: now, deadline=self.clock.deadline)


def fields_of(fetched):
    found = {}
    for field in read_fields(fetched.path, lambda header: True):
        found[Item(field.quantity.name, field.level)] = field
    return found


def short(item):
    return next(name for name, quantity in NAMES.items() if quantity == item.quantity)
