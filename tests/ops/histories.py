"""A run history, a store and a model under one directory, and a way to look at what runs leave there."""

from pathlib import Path

import db
from db import runs, stages
from ops import worker
from ops.progress import LogProgress
from publish.stores import LocalStore
from tests.ops.fakes import FakeForecaster, save_model, settings


class History:
    """The history of the runs under one directory."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.directory = directory
        self.settings = settings(directory, **options)
        save_model(self.settings.paths.models)

    def run(self, forecaster: FakeForecaster | None = None, **options: object) -> worker.Outcome:
        return worker.run(self.settings, forecaster or FakeForecaster(), LogProgress(), **options)

    @property
    def store(self) -> LocalStore:
        return LocalStore(Path(self.settings.store.url))

    def engine(self):
        return db.engine(self.settings.database.url.get_secret_value())

    def rows(self) -> list:
        with db.reading(self.engine()) as session:
            return list(runs.search(session))

    def told(self, read, run_id: str) -> list:
        with db.reading(self.engine()) as session:
            return list(read(session, run_id))

    def attempts(self, run_id: str) -> list[tuple[str, int, str]]:
        return [(one.stage, one.number, one.state) for one in self.told(stages.attempts, run_id)]

    def contents(self) -> dict[str, str]:
        """SHA-256 of every published object but for documents about them, which hold the time of publishing."""
        found = {info.key: str(self.store.head(info.key).sha256) for info in self.store.list()}
        return {key: digest for key, digest in found.items() if not key.endswith((".json", ".html"))}
