"""Places that forecasts are told for: their names and where they are."""

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A named point: `latitude` in degrees north, `longitude` in degrees east from -180 to 360. Raises ValueError."""

    name: str
    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        if not self.slug:
            raise ValueError(f"a place needs a name with at least one letter or digit, got {self.name!r}")
        if not -90.0 <= self.latitude <= 90.0 or not -180.0 <= self.longitude < 360.0:
            raise ValueError(
                f"expected a latitude of -90 to 90 and a longitude of -180 to 360 degrees for {self.name}, "
                f"got {self.latitude} and {self.longitude}"
            )

    @property
    def slug(self) -> str:
        """The name in small ASCII letters, digits and hyphens, for keys: São Paulo is sao-paulo."""
        plain = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore").decode().lower()
        return re.sub("[^a-z0-9]+", "-", plain).strip("-")

    @property
    def position(self) -> str:
        """Where it is, for people: 51.5°N 0.1°W."""
        east = (self.longitude + 180.0) % 360.0 - 180.0
        north_south, east_west = "N" if self.latitude >= 0 else "S", "E" if east >= 0 else "W"
        return f"{abs(self.latitude):.1f}°{north_south} {abs(east):.1f}°{east_west}"


def require_distinct(places: tuple[Place, ...]) -> None:
    """ValueError when two places would have the same key."""
    slugs = [place.slug for place in places]
    if twice := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
        raise ValueError(f"expected places with distinct names, got more than one {', '.join(twice)}")


DEFAULT_PLACES = (
    Place("London", 51.51, -0.13),
    Place("New York", 40.71, -74.01),
    Place("São Paulo", -23.55, -46.63),
    Place("Nairobi", -1.29, 36.82),
    Place("Delhi", 28.61, 77.21),
    Place("Tokyo", 35.68, 139.69),
    Place("Sydney", -33.87, 151.21),
    Place("Reykjavík", 64.15, -21.94),
)
"""A place in every inhabited part of the world, and one on the track of the Atlantic's storms."""
