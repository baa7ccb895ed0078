"""`sigmacast products verify`, `link` and `key`: proofs of what is published, and ways to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import AsJson, ConfigFile, settings_from
from ops.commands.output import as_json, say, size
from ops.errors import ConfigurationError, RunFailed

if TYPE_CHECKING:
    from ops.config import Settings
    from publish.stores import Reader

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_LINK = 7 * 86400


def verify(
    target: Annotated[
        str,
        typer.Argument(help="A run, or the address of a store or of a manifest: http(s)://, s3://, file:// or a path."),
    ] = "latest",
    key: Annotated[Path | None, typer.Option(help="Public key (PEM) with which the manifest must be signed.")] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Check a published run: pointer, signature, every object's size and SHA-256, indices and status."""
    from publish.signature import InvalidKeyFile, read_public_key
    from publish.verify import check

    settings = settings_from(config)
    try:
        expected = read_public_key(key.read_text()) if key else None
    except (OSError, UnicodeDecodeError, InvalidKeyFile) as error:
        raise ConfigurationError(f"--key {key}: {error}") from None
    store, manifest_key, digest = _target(settings, target)
    report = check(store, manifest_key, digest, expected)
    if json:
        as_json(report)
    else:
        whose = "a key of yours" if key else "the key that is published with it" if report.signed_by else "no key"
        say(f"Run {report.run_id} in {store.url}: {report.objects} objects, {size(report.bytes)}, signed by {whose}.")
    if report.problems:
        raise RunFailed(f"{len(report.problems)} problems: {'; '.join(report.problems)}")
    if not json:
        say("All is as published.")


def _target(settings: "Settings", target: str) -> tuple["Reader", str, str | None]:
    """Where to read, the manifest's key, and its SHA-256 if something vouches for it."""
    from ops.published import manifest_at

    if "://" not in target and not Path(target).exists():
        return _of_run(settings, target)
    return manifest_at(target.rstrip("/"), settings.store.endpoint_url)


def _of_run(settings: "Settings", run: str) -> tuple["Reader", str, str | None]:
    """A run of the history, whose manifest the history vouches for."""
    import db
    from db import products, runs
    from db.publications import MANIFEST
    from ops import history

    with history.opened(settings.database) as engine, db.reading(engine) as session:
        found = runs.find(session, run, with_products=True)
        manifests = [one for one in products.of_run(session, found.id, kinds=[MANIFEST]) if one.deleted_at is None]
    if not manifests:
        raise RunFailed(f"run {found.id} has no manifest in {found.store_url}: it is {found.state}, or was removed")
    return settings.store.open(found.store_url), manifests[-1].key, manifests[-1].sha256


def link(
    target: Annotated[str, typer.Argument(help="The key of an object, or a run.")],
    expires: Annotated[
        str, typer.Option(help="How long links are good: 90s, 30m, 12h or 7d, which is the most.")
    ] = "1h",
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print addresses at which anybody can read objects for a while, without credentials."""
    settings, seconds = settings_from(config), _seconds(expires)
    keys, store = [target], settings.store.open()
    if "/" not in target and target != "latest.json":
        import db
        from db import publications, runs
        from ops import history

        with history.opened(settings.database) as engine, db.reading(engine) as session:
            found = runs.find(session, target, with_products=True)
            keys, store = sorted(publications.keys(session, found.id)), settings.store.open(found.store_url)
    links = {key: store.link(key, seconds) for key in keys}
    if json:
        as_json({"expires_in_seconds": seconds, "links": links})
        return
    for address in links.values():
        say(address)


def _seconds(text: str) -> int:
    number, unit = text[:-1], UNITS.get(text[-1:])
    if unit is None or not number.isdecimal() or not 0 < int(number) * unit <= LONGEST_LINK:
        raise ConfigurationError(f"--expires: expected 90s, 30m, 12h or 7d, and 7d at most, got {text!r}")
    return int(number) * unit


def key(
    create: Annotated[bool, typer.Option("--create", help="Make the private key if there is none yet.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print the public key to that of the configuration which signs manifests."""
    from publish.signature import InvalidKeyFile, Signer, create_key

    path = settings_from(config).signing.key
    if path is None:
        raise ConfigurationError("no key signs manifests: set signing.key to a file, then call this with --create")
    try:
        signer = create_key(path) if create and not path.exists() else Signer.from_file(path)
    except InvalidKeyFile as error:
        raise ConfigurationError(f"signing.key: {error}") from None
    if json:
        as_json({"public_key": signer.public_key})
    else:
        say(signer.public_key.rstrip())
