"""Charts of a run, drawn from what the run has published, so that a resumed run draws the same ones.

A chart that cannot be drawn is left out, and told; the run and its products do not depend on it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from forecast.grids import LatLonGrid
from publish.charts import maps, plumes, spaghetti
from publish.charts.chosen import MAPS, SPAGHETTI
from publish.charts.fields import FieldReader
from publish.charts.quantities import Missing
from publish.charts.style import Heading, drawing
from publish.layout import Layout
from publish.manifest import PublishedObject, RunInfo
from publish.product import ProductSettings
from publish.stores.base import Store
from publish.writers.base import EncodedFile
from publish.writers.places import KIND as PLACES

KIND = "chart"
MEDIA_TYPE = "image/png"

_LOG = logging.getLogger(__name__)

Drawing = tuple[str, Callable[[Path], None]]


@dataclass
class Drawn:
    """The charts of a run as files, and one line per chart that could not be drawn."""

    files: list[EncodedFile] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def draw(
    store: Store,
    objects: Sequence[PublishedObject],
    run: RunInfo,
    settings: ProductSettings,
    layout: Layout,
    directory: Path,
    clock: Callable[[], float] = time.monotonic,
) -> Drawn:
    """Draw every chart that the published fields allow; a chart whose fields are not published does not exist.

    Maps have the settings' lead times that the run has, else its last. None is begun when `chart_seconds` are over.
    """
    drawn, end = Drawn(), clock() + settings.chart_seconds
    members = tuple(sorted({member for each in objects for member in each.members}))
    with FieldReader(store, objects, run.init_time, LatLonGrid(layout.spacing_degrees)) as reader, drawing():
        for name, make in _drawings(store, objects, run, settings, reader, drawn):
            if clock() >= end:
                _fail(drawn, name, f"the {settings.chart_seconds:g} s for charts are over")
                continue
            path = directory / Path(layout.chart(name)).name
            try:
                make(path)
            except Missing:
                continue
            except Exception as error:
                _fail(drawn, name, f"{type(error).__name__}: {error}")
                continue
            drawn.files.append(EncodedFile(layout.chart(name), path, KIND, MEDIA_TYPE, members))
    return drawn


def _fail(drawn: Drawn, name: str, reason: str) -> None:
    drawn.failures.append(f"chart {name} was not drawn: {reason}")
    _LOG.warning(drawn.failures[-1])


def _drawings(
    store: Store,
    objects: Sequence[PublishedObject],
    run: RunInfo,
    settings: ProductSettings,
    reader: FieldReader,
    drawn: Drawn,
) -> Iterator[Drawing]:
    """Name and maker of every chart."""
    heading = Heading(settings.product, run.model, run.init_time, run.institution, run.licence, run.run_id)
    if settings.chart_lead_hours:
        wanted = [hours for hours in settings.chart_lead_hours if hours in run.lead_hours] or [max(run.lead_hours)]
        for chart in MAPS:
            yield chart.name, lambda path, chart=chart: maps.draw(chart, [reader.at(h) for h in wanted], heading, path)
        for hemisphere in SPAGHETTI:
            yield (
                hemisphere.name,
                lambda path, chart=hemisphere: spaghetti.draw(chart, [reader.at(h) for h in wanted], heading, path),
            )
    places = [each.key for each in objects if each.kind == PLACES]
    if len(places) > 1:
        try:
            series = plumes.series(store.get(key) for key in places)
        except Exception as error:
            _fail(drawn, "plume", f"{type(error).__name__}: {error}")
            return
        for one in series:
            yield f"plume-{one.place.slug}", partial(plumes.draw, one, heading)
