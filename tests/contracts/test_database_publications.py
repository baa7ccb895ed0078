"""What the run history promises of published runs; SQLite and PostgreSQL pass the same suite."""

from dataclasses import replace
from datetime import timedelta

import pytest

import db
from db import products, publications, runs
from db.products import NewProduct
from db.states import RunState
from tests.contracts.histories import NEW, NOW, move_to

LATER = NOW + timedelta(days=1)
MANIFEST = NewProduct("a/manifest.json", "manifest", None, 10, "0" * 64)
FIELDS = NewProduct("a/fields.grib2", "members", 6, 100, "1" * 64)


@pytest.fixture
def published(history, run) -> str:
    move_to(history, run, RunState.RUNNING, RunState.PUBLISHED)
    with db.writing(history) as session:
        products.record(session, run, [MANIFEST, FIELDS], NOW)
    return run


def test_a_retracted_run_makes_room_for_another_of_its_identity(history, published):
    with db.writing(history) as session, pytest.raises(db.RunExists):
        runs.create(session, replace(NEW, id="run-2"), NOW)
    with db.writing(history) as session:
        publications.retract(session, published, "wrong", LATER)
        publications.retract(session, published, "wrong", LATER + timedelta(days=1))
        runs.create(session, replace(NEW, id="run-2"), LATER)
    with db.reading(history) as session:
        assert runs.get(session, published).retracted_at == LATER
        assert runs.with_identity(session, NEW.identity).id == "run-2"
        assert publications.standing(session, NEW.store_url) == []
        assert [event.kind for event in runs.events(session, published)].count("retracted") == 1
        with pytest.raises(db.UnknownRun):
            runs.find(session, "latest", with_products=True)


def test_a_superseded_run_stands_no_more_until_it_is_given_back(history, published):
    with db.writing(history) as session:
        publications.supersede(session, published, "run-2", LATER)
        assert publications.standing(session, NEW.store_url) == []
        assert [run.id for run in publications.superseded_by(session, "run-2")] == [published]
        publications.supersede(session, published, None, LATER)
        assert [run.id for run in publications.standing(session, NEW.store_url)] == [published]


def test_what_is_removed_is_noted_once_with_its_time(history, published):
    with db.writing(history) as session:
        assert publications.keys(session, published) == {MANIFEST.key, FIELDS.key}
        assert publications.bytes_of(session, published) == 110
        assert [run.id for run in publications.stored(session, NEW.store_url)] == [published]
        publications.removed(session, published, "removed", LATER)
        publications.removed(session, published, "removed", LATER + timedelta(days=1))
    with db.reading(history) as session:
        assert {row.deleted_at for row in products.of_run(session, published)} == {LATER}
        assert publications.manifest_key(session, published) is None
        assert publications.stored(session, NEW.store_url) == []
        assert [event.kind for event in runs.events(session, published)].count("pruned") == 1


def test_keys_that_another_run_has_too_are_told(history, published):
    with db.writing(history) as session:
        publications.retract(session, published, "wrong", LATER)
        runs.create(session, replace(NEW, id="run-2"), LATER)
        products.record(session, "run-2", [FIELDS], LATER)
        keys = publications.keys(session, published)
        assert publications.claimed_by_others(session, published, keys) == {FIELDS.key}


def test_a_run_is_pinned_and_let_go(history, published):
    with db.writing(history) as session:
        publications.pin(session, published, True, LATER)
        assert runs.get(session, published).pinned_at == LATER
        publications.pin(session, published, False, LATER)
        assert runs.get(session, published).pinned_at is None
    kinds = [event.kind for event in _events(history, published)]
    assert kinds[-2:] == ["pinned", "unpinned"]


def _events(history, run_id: str) -> list:
    with db.reading(history) as session:
        return list(runs.events(session, run_id))
