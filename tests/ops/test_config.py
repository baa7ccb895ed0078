"""The configuration: where values come from, and what is refused."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from ops import config
from ops.config import ChartSettings, ProductsSettings, load
from ops.errors import ConfigurationError


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_without_any_configuration_everything_is_embedded():
    settings = load()
    assert settings.database.url.get_secret_value() == "sqlite:///var/sigmacast.db"
    assert settings.store.url == "var/products"
    assert (str(settings.paths.models), str(settings.paths.work)) == ("var/models", "var/work")


def test_options_go_before_the_environment_and_that_before_the_file(tmp_path, monkeypatch):
    (tmp_path / "sigmacast.toml").write_text("[forecast]\nmembers = 5\ndays = 3\nquorum = 0.5\n")
    monkeypatch.setenv("SIGMACAST_FORECAST__MEMBERS", "6")
    monkeypatch.setenv("SIGMACAST_FORECAST__DAYS", "4")
    forecast = load(options={"forecast.days": 7.0, "forecast.model": None}).forecast
    assert (forecast.days, forecast.members, forecast.quorum, forecast.model) == (7.0, 6, 0.5, "demo")


def test_the_file_is_the_one_named_by_the_option_or_else_by_the_environment(tmp_path, monkeypatch):
    for name, members in (("a.toml", 5), ("b.toml", 6)):
        (tmp_path / name).write_text(f"[forecast]\nmembers = {members}\n")
    monkeypatch.setenv("SIGMACAST_CONFIG", "a.toml")
    assert load().forecast.members == 5
    assert load(tmp_path / "b.toml").forecast.members == 6


def test_lists_come_from_the_environment_as_json(monkeypatch):
    monkeypatch.setenv("SIGMACAST_PRODUCTS__LEVELS", "[500, 850]")
    assert load().products.levels == (500, 850)


def test_the_tree_is_frozen():
    with pytest.raises(ValidationError):
        load().forecast.members = 9


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SIGMACAST_FORECAST__MEMBER", "3", "forecast.member in the environment; the nearest one is forecast.members"),
        ("SIGMACAST_MEMBERS", "3", "SIGMACAST_MEMBERS is no setting; the nearest one is SIGMACAST_FORECAST__MEMBERS"),
        ("SIGMACAST_DATABSE__URL", "x", "the nearest one is SIGMACAST_DATABASE__URL"),
        ("SIGMACAST_FORECAST__MEMBERS", "many", "the setting forecast.members in the environment is wrong"),
        ("SIGMACAST_FORECAST__QUORUM", "1.5", "less than or equal to 1, got '1.5'"),
        ("SIGMACAST_STORE__URL", "s3://key:secret@bucket", "holds no credentials"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, variable, value, told):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as refused:
        load()
    assert told in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[forcast]\nmembers = 3\n",
            "unknown key forcast in sigmacast.toml; the nearest one is forecast",
        ),
        ("[store]\nlink = 'x'\n", "unknown key store.link"),
        ("members = 3\n", "unknown key members"),
        ("[forecast\n", "cannot be read as TOML"),
        ("forecast = 3\n", "the setting forecast in sigmacast.toml is wrong"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, told):
    (tmp_path / "sigmacast.toml").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load()
    assert told in str(refused.value)


def test_a_password_is_in_no_representation_of_the_settings(monkeypatch):
    monkeypatch.setenv("SIGMACAST_DATABASE__URL", "postgresql://me:s3cret@host/name")
    settings = load()
    assert "s3cret" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_password_is_in_no_log_line(capsys):
    from ops import log

    log.configure(config.LogSettings(format="json"))
    try:
        raise RuntimeError("postgresql://me:s3cret@host/name does not answer")
    except RuntimeError:
        log.get().exception("cannot reach postgresql://me:s3cret@host/name", url="postgresql://me:s3cret@host/name")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "me:***@host" in printed.err and "s3cret" not in printed.err


def test_what_libraries_log_is_told_with_the_run(capsys):
    import json
    import logging

    from ops import log

    log.configure(config.LogSettings(format="json"))
    with log.bound(run="run-1"):
        logging.getLogger("forecast.ensemble").warning("member %d at postgresql://me:s3cret@host", 3)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "member 3 at postgresql://me:***@host"
    assert (line["run"], line["logger"], line["level"]) == ("run-1", "forecast.ensemble", "warning")


def test_product_settings_are_the_publishers():
    """Whatever the publisher can be told can be configured, under the same name."""
    from dataclasses import fields

    from publish.product import ProductSettings

    of_the_run = {"institution", "licence"}
    drawn = {name if name == "places" else f"chart_{name}" for name in ChartSettings.model_fields}
    known = set(ProductsSettings.model_fields) - of_the_run | drawn
    assert {field.name for field in fields(ProductSettings)} == known


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('fields = ["temperature"]', "expected fields out of geopotential, .*each once, got temperature"),
        (
            'probabilities = ["air_temperature<0"]',
            "expected a level, as in air_temperature@850",
        ),
        ('windows = ["wind_speed@850 24h max"]', "expected a field over an interval, such as"),
        ('statistics = ["median"]', "expected statistics out of mean, spread"),
        ("grid_spacing = 0.1", "expected a grid spacing from 0.25 to 5"),
        ("lead_hours = [24, 12]", "expected lead times in hours, increasing"),
    ],
)
def test_products_that_cannot_be_made_are_refused_before_any_work(tmp_path, text, told):
    file = tmp_path / "products.toml"
    file.write_text(f"[products]\n{text}\n")
    with pytest.raises(ConfigurationError, match=f"the setting products in .*products.toml is wrong: {told}"):
        load(file)


def test_a_catalogue_of_products_is_read_as_it_is_written(tmp_path):
    text = re.search(r"```toml\n(.+?)```", (Path(__file__).parents[2] / "docs" / "products.md").read_text(), re.DOTALL)
    file = tmp_path / "products.toml"
    file.write_text(text[1])
    assert load(file).products.windows == ("precipitation_minus_evaporation/24h sum", "wind_speed@850/24h max")


def test_places_are_tables_of_their_own(tmp_path):
    file = tmp_path / "places.toml"
    file.write_text('[[charts.places]]\nname = "Zürich"\nlatitude = 47.38\nlongitude = 8.54\n')
    assert [vars(place) for place in load(file).charts.places] == [
        {"name": "Zürich", "latitude": 47.38, "longitude": 8.54}
    ]
    file.write_text('[[charts.places]]\nname = "Zürich"\nlatitude = 47.38\n')
    with pytest.raises(ConfigurationError, match="charts.places.0.longitude"):
        load(file)
