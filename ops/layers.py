"""Where the configuration's values come from: the file, credentials, the environment, options, in this order.

In each of them a secret may be given as itself or, under its name with `_file` behind it, as the file that holds it.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.errors import ConfigurationError

Tree = dict[str, Any]

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
CREDENTIAL_PREFIX = "sigmacast_"
"""What systemd puts before the names of credentials that it loads from a directory under the name `sigmacast`."""
FILE_SUFFIX = "_file"


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: kind is default, file, credential, environment or option."""

    kind: str
    where: str = ""
    secret_file: Path | None = None

    def __str__(self) -> str:
        place = f"{self.kind} {self.where}".rstrip()
        return f"{place}, in the secret file {self.secret_file}" if self.secret_file else place


DEFAULT = Origin("default")


@dataclass(frozen=True)
class Layer:
    """The values that one place has. `phrase` names it in a complaint; `names` has what a key is called there."""

    kind: str
    phrase: str
    tree: Tree
    names: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Whether it has a value for a dotted key."""
        section, _, name = key.partition(".")
        part = self.tree.get(section)
        return section in self.tree if not name else isinstance(part, dict) and name in part

    def origin(self, key: str) -> Origin:
        """Of a value that this layer has."""
        return Origin(self.kind, self.names.get(key, self.names.get("", "")), self.files.get(key))


def from_file(path: Path) -> Layer:
    """A TOML file. Raises ConfigurationError."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read as TOML: {error}") from None
    return Layer("file", f"in {path}", tree, {"": str(path)})


def from_credentials(directory: str, secrets: Collection[str]) -> Layer:
    """The files of systemd's credentials directory that are named after a secret, such as `database.url`.

    Other names are for others, unless they have a dot as keys have: raises ConfigurationError for these.
    """
    found = {}
    for path in sorted(Path(directory).iterdir()):
        key = path.name.removeprefix(CREDENTIAL_PREFIX)
        if "." not in key:
            continue
        if key not in secrets:
            raise ConfigurationError(
                f"the credential {path.name} is no secret of the configuration: expected one of {', '.join(secrets)}"
            )
        found[key] = path
    tree = nested({key: content(path, f"the credential {path.name}") for key, path in found.items()})
    return Layer("credential", "among the credentials", tree, {key: path.name for key, path in found.items()})


def nested(values: Mapping[str, Any]) -> Tree:
    """Dotted keys as a tree; None leaves a setting alone."""
    tree: Tree = {}
    for key, value in values.items():
        if value is not None:
            section, _, name = key.partition(".")
            tree.setdefault(section, {})[name] = value
    return tree


def unfolded(layer: Layer, secrets: Collection[str]) -> Layer:
    """The layer with the contents of secret files in the place of their names. Raises ConfigurationError."""
    files = {key: Path(named) for key in secrets if (named := _named_file(layer, key)) is not None}
    if not files:
        return layer
    tree = {section: dict(part) if isinstance(part, dict) else part for section, part in layer.tree.items()}
    names = dict(layer.names)
    for key, path in files.items():
        section, _, name = key.partition(".")
        del tree[section][name + FILE_SUFFIX]
        tree[section][name] = content(path, key + FILE_SUFFIX)
        names[key] = names.get(key + FILE_SUFFIX, names.get("", ""))
    return Layer(layer.kind, layer.phrase, tree, names, files)


def _named_file(layer: Layer, key: str) -> Any:
    if not layer.has(key + FILE_SUFFIX):
        return None
    if layer.has(key):
        raise ConfigurationError(f"expected {key} or {key}{FILE_SUFFIX} {layer.phrase}, got both")
    section, _, name = key.partition(".")
    return layer.tree[section][name + FILE_SUFFIX]


def content(path: Path, what: str) -> str:
    """The text of a secret file without space around it. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{what}: the secret file {path} cannot be read: {reason}") from None
    if not text:
        raise ConfigurationError(f"{what}: expected a secret in {path}, found nothing")
    return text


def merged(layers: Collection[Layer]) -> Tree:
    """One tree; later layers go before earlier ones, key by key."""
    into: Tree = {}
    for layer in layers:
        _merge(into, layer.tree)
    return into


def _merge(into: Tree, tree: Tree) -> None:
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, dict) else value
