"""The configuration: one frozen tree, from a TOML file and the environment; docs/configuration.md lists its keys.

Credentials go before the file, the environment before both, options of a command before all. A key that does not exist
is an error.
"""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from db.connection import masked_url
from ops.alert_settings import AlertSettings
from ops.cost_settings import CostSettings
from ops.daemon_settings import DaemonSettings
from ops.errors import ConfigurationError
from ops.ingest_settings import CdsSettings, EcmwfSettings, GfsSettings, IngestSettings
from ops.layers import (
    CREDENTIALS_VARIABLE,
    DEFAULT,
    FILE_SUFFIX,
    Layer,
    Origin,
    from_credentials,
    from_file,
    merged,
    nested,
    unfolded,
)
from ops.notify_settings import NotifySettings
from ops.quality_settings import QualitySettings
from ops.section import Section
from ops.store_settings import RetentionSettings, SigningSettings, StoreSettings
from ops.web_settings import WebSettings
from ops.worker_settings import WorkerSettings

PREFIX = "SIGMACAST_"
DEFAULT_FILE = Path("sigmacast.toml")
FILE_VARIABLE = "SIGMACAST_CONFIG"
NO_SETTINGS = frozenset({FILE_VARIABLE, "SIGMACAST_REQUIRE_SERVERS"})
"""Variables with our prefix that are no settings: the file's name, and a switch of the test suite."""


class DatabaseSettings(Section):
    """Where the run history is kept."""

    url: SecretStr = Field(
        default=SecretStr("sqlite:///var/sigmacast.db"), description="SQLite or PostgreSQL database URL."
    )


class PathSettings(Section):
    """Directories on this machine."""

    models: Path = Field(default=Path("var/models"), description="Imported checkpoints.")
    work: Path = Field(
        default=Path("var/work"),
        description="Analyses and restart files of runs; weights of regridding; compiled programs.",
    )


class SourceSettings(Section):
    """Where the analysis comes from."""

    name: str = Field(default="demo", description="Source of the analysis: demo, files, gfs, ecmwf or era5.")
    path: Path | None = Field(default=None, description="File, or directory of files, for the source `files`.")


class ForecastSettings(Section):
    """What is forecast."""

    model: str = Field(default="demo", min_length=1, description="Name of an imported model.")
    members: int = Field(default=4, ge=1, description="Ensemble members, the control included.")
    days: float = Field(default=15.0, gt=0, description="Length of the forecast [days].")
    interval_hours: int = Field(default=6, ge=1, description="Time between published lead times [h].")
    window_hours: int = Field(
        default=24, ge=1, description="Time between saved states [h], a multiple of the interval."
    )
    quorum: float = Field(
        default=0.9, gt=0, le=1, description="Least share of members that must end, else the run fails."
    )
    reseed_limit: int = Field(
        default=2, ge=0, description="How often a member that left physical bounds restarts a window."
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Members advanced together; unset: sized to the memory."
    )
    native_kernels: bool = Field(
        default=True, description="Whether transforms on a CPU are compiled from C++ where a compiler is found."
    )
    precision: Literal["float32", "float64"] = Field(
        default="float32", description="Type of the whole forecast: float32, or float64 at twice the time."
    )
    towers: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Type of the products in the networks: float32, or bfloat16 on a GPU."
    )


class ProductsSettings(Section):
    """What is published; what is left unset is the publisher's choice."""

    product: str | None = Field(
        default=None, description="Name of the product line in object keys; unset: the model's name."
    )
    grid_spacing: float | None = Field(default=None, gt=0, description="Spacing of the published grid [degrees].")
    native_grid: bool | None = Field(default=None, description="Adds members on the model's Gaussian grid, as GRIB2.")
    levels: tuple[int, ...] | None = Field(default=None, description="Pressure levels [hPa].")
    fields: tuple[str, ...] | None = Field(default=None, description="Fields, by their CF standard names.")
    lead_hours: tuple[int, ...] | None = Field(
        default=None, description="Lead times that are published [h]; unset: all."
    )
    publish_members: bool | None = Field(
        default=None, description="Whether members are published beside their statistics."
    )
    statistics: tuple[str, ...] | None = Field(
        default=None, description="Ensemble statistics: mean, spread, min, max, p10, p25, p50, p75, p90."
    )
    windows: tuple[str, ...] | None = Field(
        default=None, description="Fields over intervals, such as `wind_speed@850/24h max`."
    )
    probabilities: tuple[str, ...] | None = Field(
        default=None, description="Events, such as `air_temperature@850<273.15` or `wind_speed@850>15/24h max`."
    )
    formats: tuple[str, ...] | None = Field(default=None, description="Formats: grib2, netcdf, zarr.")
    centre: int | None = Field(
        default=None, ge=0, le=65535, description="GRIB originating centre (WMO common code table C-11)."
    )
    subcentre: int | None = Field(default=None, ge=0, le=65535, description="GRIB originating subcentre.")
    production_status: int | None = Field(
        default=None, ge=0, le=255, description="GRIB status: 0 operational, 1 test, 2 research."
    )
    generating_process: int | None = Field(
        default=None, ge=0, le=255, description="GRIB generating process identifier."
    )
    bits_per_value: int | None = Field(default=None, ge=8, le=24, description="Bits per packed GRIB value.")

    institution: str = Field(default="unspecified", description="Who issues the products, as told in their metadata.")
    licence: str | None = Field(
        default=None, description="Licence of the products; unset: that of the model's weights."
    )

    @model_validator(mode="after")
    def _makes_a_product(self) -> "ProductsSettings":
        """Refuse here what the publisher would refuse when the forecast has begun."""
        if chosen := self.model_dump(exclude_none=True, exclude={"institution", "licence"}):
            from publish.settings import ProductSettings

            ProductSettings(**chosen)
        return self

    def chosen(self) -> dict[str, Any]:
        """What was set, by name."""
        return self.model_dump(exclude_none=True)


class PlaceSettings(Section):
    """A point that has values and a plume of its own."""

    name: str
    latitude: float
    longitude: float


class ChartSettings(Section):
    """What is drawn of a run; what is left unset is the publisher's choice."""

    lead_hours: tuple[int, ...] | None = Field(
        default=None,
        description="Lead times of the maps [h], one panel each; unset: 72, 120, 168, 240; empty: no maps.",
    )
    places: tuple[PlaceSettings, ...] | None = Field(
        default=None,
        description="Places with values and a plume each: name, latitude, longitude; unset: eight cities; empty: none.",
    )
    seconds: float | None = Field(
        default=None, gt=0, description="No chart is begun later than this after the first [s]; unset: 300."
    )

    def chosen(self) -> dict[str, Any]:
        """What was set, by name."""
        return self.model_dump(exclude_none=True)


class LeaseSettings(Section):
    """How processes agree which of them runs what."""

    seconds: int = Field(
        default=60, ge=4, description="How long a run stays with a process that gives no sign of life [s]."
    )


class LogSettings(Section):
    """What is told while commands work."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is shown."
    )
    format: Literal["text", "json"] = Field(default="text", description="text for people, json for machines.")


class Settings(BaseSettings):
    """The whole tree."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__"
    )

    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    paths: PathSettings = PathSettings()
    source: SourceSettings = SourceSettings()
    quality: QualitySettings = QualitySettings()
    ingest: IngestSettings = IngestSettings()
    ecmwf: EcmwfSettings = EcmwfSettings()
    gfs: GfsSettings = GfsSettings()
    cds: CdsSettings = CdsSettings()
    forecast: ForecastSettings = ForecastSettings()
    products: ProductsSettings = ProductsSettings()
    charts: ChartSettings = ChartSettings()
    signing: SigningSettings = SigningSettings()
    retention: RetentionSettings = RetentionSettings()
    notify: NotifySettings = NotifySettings()
    lease: LeaseSettings = LeaseSettings()
    worker: WorkerSettings = WorkerSettings()
    alerts: AlertSettings = AlertSettings()
    daemon: DaemonSettings = DaemonSettings()
    web: WebSettings = WebSettings()
    cost: CostSettings = CostSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands in, so that every value has one known origin."""
        return (init_settings,)


@dataclass(frozen=True)
class Resolved:
    """The configuration, the file it was read from, and where each value that is no default comes from."""

    settings: Settings
    file: Path | None
    origins: Mapping[str, Origin]

    def origin(self, key: str) -> Origin:
        """Where the value of a dotted key comes from."""
        return self.origins.get(key, DEFAULT)

    def has_secrets_in_its_file(self) -> bool:
        """Whether a secret stands in the configuration file itself; an address without a password is none."""
        written = [key for key in secret_keys() if self.origin(key).kind == "file" and not self.origin(key).secret_file]
        return any(not key.startswith("database.") or self._has_password() for key in written)

    def _has_password(self) -> bool:
        url = self.settings.database.url.get_secret_value()
        return masked_url(url) != url


def load(path: Path | None = None, options: Mapping[str, Any] | None = None) -> Settings:
    """The configuration from `path` (or $SIGMACAST_CONFIG, or ./sigmacast.toml), the environment and options.

    `options` maps dotted keys such as "forecast.members" to values; None leaves a setting alone.
    Raises ConfigurationError that names the key, its origin and the nearest key that exists.
    """
    return resolve(path, options).settings


def resolve(path: Path | None = None, options: Mapping[str, Any] | None = None) -> Resolved:
    """As `load`, with the origin of each value."""
    file = _file(path)
    secrets = secret_keys()
    layers = [from_file(file)] if file else []
    if directory := os.environ.get(CREDENTIALS_VARIABLE):
        layers.append(from_credentials(directory, secrets))
    layers += [_environment(), Layer("option", "among the options", nested(options or {}))]
    layers = [unfolded(layer, secrets) for layer in layers]
    try:
        settings = Settings(**merged(layers))
    except ValidationError as error:
        raise ConfigurationError("; ".join(_complaint(detail, layers) for detail in error.errors())) from None
    origins = {key: layer.origin(key) for layer in layers for key in _own_keys() if layer.has(key)}
    return Resolved(settings, file, origins)


def _own_keys() -> dict[str, Any]:
    """Every key that is an attribute of the tree, with its field."""
    sections = Settings.model_fields.items()
    return {
        f"{section}.{name}": part
        for section, field in sections
        for name, part in type(field.default).model_fields.items()
    }


def secret_keys() -> tuple[str, ...]:
    """The keys whose values are shown nowhere."""
    fields = _own_keys().items()
    return tuple(key for key, part in fields if SecretStr in (part.annotation, *get_args(part.annotation)))


def known_keys() -> dict[str, tuple[Any, str]]:
    """Every key with its default and its description; each secret may also be given as a file, see `file_keys`."""
    return {key: (part.default, part.description or "") for key, part in _own_keys().items()}


def file_keys() -> tuple[str, ...]:
    """The keys under which files that hold secrets are named."""
    return tuple(key + FILE_SUFFIX for key in secret_keys())


def _file(path: Path | None) -> Path | None:
    if path is None and (named := os.environ.get(FILE_VARIABLE)):
        path = Path(named)
    if path is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not path.is_file():
        raise ConfigurationError(f"expected a configuration file at {path}, there is none")
    return path


def _environment() -> Layer:
    variables = [name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in NO_SETTINGS]
    sections = tuple(f"{PREFIX}{section.upper()}__" for section in Settings.model_fields)
    for name in variables:
        if not name.upper().startswith(sections):
            raise ConfigurationError(f"the environment variable {name} is no setting{_nearest_variable(name)}")
    try:
        tree = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise ConfigurationError(f"in the environment: {error}; lists are written as JSON, e.g. [500, 850]") from None
    names = {name.upper().removeprefix(PREFIX).lower().replace("__", "."): name for name in variables}
    return Layer("environment", "in the environment", tree, names)


def _nearest_variable(name: str) -> str:
    known = [PREFIX + key.replace(".", "__").upper() for key in (*known_keys(), *file_keys())]
    return _suggestion(name.upper(), known)


def _suggestion(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; the nearest one is {nearest[0]}" if nearest else ""


def _complaint(detail: ErrorDetails, layers: Sequence[Layer]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    first_two = ".".join(str(part) for part in detail["loc"][:2])
    origin = next((layer.phrase for layer in reversed(layers) if layer.has(first_two)), "")
    if detail["type"] == "extra_forbidden":
        known = [*known_keys(), *file_keys()] if "." in key else list(Settings.model_fields)
        return f"unknown key {key} {origin}{_suggestion(key, known)}"
    hidden = first_two in secret_keys() or "url" in key or isinstance(detail["input"], dict)
    shown = "" if hidden else f", got {detail['input']!r}"
    return f"the setting {key} {origin} is wrong: {detail['msg'].removeprefix('Value error, ')}{shown}"
