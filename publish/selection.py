"""Which products, and which messages inside them, somebody wants."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from publish.manifest import ManifestError, PublishedObject

FORMATS = {"grib2": ".grib2", "netcdf": ".nc", "zarr": ".zarr", "json": ".json", "png": ".png"}
"""File formats by name, with their suffixes."""

Span = tuple[int, int]
"""First octet and number of octets."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted; an empty tuple stands for all.

    `params` are GRIB short names, `levels` in hPa, `members` numbers with 0 for the control: they choose
    messages inside GRIB files, by the files' indices, so that files of other formats are not wanted then.
    """

    lead_hours: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    members: tuple[int, ...] = ()

    @property
    def by_message(self) -> bool:
        """Whether single messages are wanted."""
        return bool(self.params or self.levels or self.members)

    @property
    def name(self) -> str:
        """What tells a file of such messages from the whole: t-u_500_m0-m1."""
        members = [f"m{member}" for member in self.members]
        parts = (self.params, [str(level) for level in self.levels], members)
        return "_".join("-".join(part) for part in parts if part)

    def objects(self, found: Iterable[PublishedObject]) -> list[PublishedObject]:
        """The objects that may hold what is wanted, in their order."""
        return [each for each in found if self._takes(each)]

    def _takes(self, each: PublishedObject) -> bool:
        suffix = suffix_of(each.key)
        return (
            (not self.lead_hours or each.lead_hours in self.lead_hours)
            and (not self.kinds or each.kind in self.kinds)
            and (not self.formats or suffix in {FORMATS[name] for name in self.formats})
            and (not self.by_message or suffix == FORMATS["grib2"])
            and (not self.members or bool(set(self.members) & set(each.members)))
        )

    def spans(self, index: bytes, name: str) -> list[Span]:
        """Where the messages wanted are, by the index of a file. Raises ManifestError for what is no index."""
        try:
            lines = [json.loads(line) for line in index.splitlines() if line]
            return [(int(line["_offset"]), int(line["_length"])) for line in lines if self._takes_message(line)]
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"expected an index with a JSON object per line in {name}, but: {error}") from None

    def _takes_message(self, line: dict[str, str]) -> bool:
        level = int(line["levelist"]) if line.get("levelist", "").isdigit() else None
        member = int(line["number"]) if "number" in line else 0 if line["type"] in ("cf", "fc") else None
        return (
            (not self.params or line["param"] in self.params)
            and (not self.levels or level in self.levels)
            and (not self.members or member in self.members)
        )


def suffix_of(key: str) -> str:
    """The suffix of a file, or of the Zarr store that an object belongs to."""
    parts = [part for part in PurePosixPath(key).parts if part.endswith(FORMATS["zarr"])]
    return FORMATS["zarr"] if parts else PurePosixPath(key).suffix


def index_key(key: str) -> str:
    """Key of the index of a GRIB file."""
    return str(PurePosixPath(key).with_suffix(".index"))
