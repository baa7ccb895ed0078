"""The proof that a fetched file holds what was asked for, by the headers of its messages."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from ingest.errors import Broken, WrongTime
from ingest.feed import Item
from ingest.grib import Header, read_headers
from ingest.index import named


def prove_fields(path: Path, cycle: datetime, items: Collection[Item], member: int = 0) -> None:
    """Every item is there once, valid at the cycle, of that member (0 is the control), and nothing else of ours.

    Raises WrongTime when a field is valid at another time, and Broken when fields are missing, too many or of
    another member, or a message cannot be decoded.
    """
    found: Counter[Item] = Counter()
    for header in read_headers(path):
        item = Item(header.quantity.name, header.level)
        _prove_header(header, item, cycle, member, path.name)
        found[item] += 1
    wanted = Counter(set(items))
    if found != wanted:
        missing, extra = set(wanted - found), set(found - wanted)
        raise Broken(
            f"{path.name}: expected {wanted.total()} fields, found {found.total()}; "
            f"missing: {named(missing) or 'none'}; not asked for, or twice: {named(extra) or 'none'}; "
            "fetch index and file again"
        )


def _prove_header(header: Header, item: Item, cycle: datetime, member: int, name: str) -> None:
    if header.valid_time != cycle:
        raise WrongTime(
            f"{name}: expected {item} valid at {cycle:%Y-%m-%d %H} UTC, found {header.valid_time:%Y-%m-%d %H:%M} UTC; "
            "fetch index and file again"
        )
    if header.member != member:
        raise Broken(f"{name}: expected {item} of member {member}, found {header.member}; fetch index and file again")
