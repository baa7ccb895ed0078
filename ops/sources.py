"""The source that the configuration names, with what it needs: feeds, the cache of inputs, the memory of arrivals."""

from datetime import timedelta

from sqlalchemy import Engine

from ingest.cache import InputCache
from ingest.feed import Availability, Feed
from ingest.outlook import PERSISTED_ANOMALY, PERSISTENCE
from ingest.settle import Terms
from ingest.source import Source
from ingest.sources import open_source
from ingest.sources.chain import ChainSource
from ops.arrivals import Arrivals
from ops.clock import Clock
from ops.config import Settings
from ops.errors import ConfigurationError
from ops.ingest_settings import CHAINS, FeedName
from ops.progress import OnFetch

_LOOKBACK = {"era5": timedelta(days=10)}


def is_chain(settings: Settings) -> bool:
    """Whether the source is made of feeds."""
    return settings.source.name in CHAINS


def opened(settings: Settings, engine: Engine | None, clock: Clock, progress: OnFetch) -> Source:
    """The source, whose arrivals the history learns if it is given. Raises ConfigurationError for one that is none."""
    if is_chain(settings):
        return chain(settings, engine, clock, progress)
    return without_feeds(settings)


def without_feeds(settings: Settings) -> Source:
    """A source of files. Raises ConfigurationError when it is unknown or not as it should be."""
    if settings.ingest.initial_conditions == "ens":
        raise ConfigurationError(
            f"ingest.initial_conditions: the source {settings.source.name} has no perturbed analyses; take ecmwf"
        )
    try:
        return open_source(settings.source.name, settings.source.path)
    except ValueError as error:
        raise ConfigurationError(f"the source cannot be opened: {error}; feeds are {', '.join(CHAINS)}") from error


def feed_names(settings: Settings) -> tuple[FeedName, ...]:
    """The feeds of the source, in order of preference. Raises ConfigurationError for one that is not made of feeds."""
    name, wanted = settings.source.name, settings.ingest
    if not is_chain(settings):
        raise ConfigurationError(f"the source {name} takes no feeds and has no plan: give {', '.join(CHAINS)}")
    names: tuple[FeedName, ...] = wanted.chain or CHAINS[name]
    if names[0] != name or len(set(names)) != len(names):
        raise ConfigurationError(
            f"ingest.chain: expected feeds that begin with the source {name}, got {', '.join(names)}"
        )
    if wanted.initial_conditions == "ens" and name != "ecmwf":
        raise ConfigurationError(f"ingest.initial_conditions: {name} has no perturbed analyses; take the source ecmwf")
    return names


def chain(settings: Settings, engine: Engine | None, clock: Clock, progress: OnFetch) -> ChainSource:
    """The source as a chain of feeds. Raises ConfigurationError for one that is none."""
    name, wanted, names = settings.source.name, settings.ingest, feed_names(settings)
    cache = InputCache(wanted.cache, int(wanted.cache_gib * 2**30))
    terms = Terms(wanted.degraded, timedelta(hours=wanted.max_age_hours), timedelta(days=wanted.max_forcing_age_days))
    return ChainSource(
        name,
        {each: feed(each, settings, cache, clock) for each in names},
        terms,
        perturbed=lambda member: feed(names[0], settings, cache, clock, member),
        forcing=PERSISTED_ANOMALY if wanted.climatology else PERSISTENCE,
        lookback=_LOOKBACK.get(name, timedelta(days=2)),
        watch=Arrivals(engine, clock) if engine else _unwatched,
        progress=progress,
        release=cache.release,
        clock=clock,
    )


def _unwatched(_feed: str, answer: Availability) -> Availability:
    return answer


def feed(name: FeedName, settings: Settings, cache: InputCache, clock: Clock, member: int = 0) -> Feed:
    """A feed as it is configured; of a perturbed member where one is given. Raises ConfigurationError."""
    if name == "gfs":
        from ingest.sources.gfs import Gfs

        gfs = settings.gfs
        return Gfs(cache, gfs.bucket, gfs.endpoint_url, fetch_seconds=gfs.deadline_seconds, now=clock)
    if name == "ecmwf":
        return _ecmwf(settings, cache, clock, member)
    from ingest.sources.cds import Cds

    return Cds(cache, fetch_seconds=settings.cds.deadline_seconds, now=clock)


def _ecmwf(settings: Settings, cache: InputCache, clock: Clock, member: int) -> Feed:
    from ingest.http import without_secrets
    from ingest.mirrors import Mirrors
    from ingest.sources.ecmwf_client import MIRRORS
    from ingest.sources.ecmwf_open import EcmwfOpenData

    unknown = [one for one in settings.ecmwf.mirrors if one not in MIRRORS and "://" not in one]
    if unknown:
        raise ConfigurationError(
            f"ecmwf.mirrors: expected {', '.join(MIRRORS)} or addresses, got {', '.join(map(repr, unknown))}"
        )
    addresses = {without_secrets(one): MIRRORS.get(one, one) for one in settings.ecmwf.mirrors}
    mirrors = Mirrors(addresses, cache.directory / "mirrors-ecmwf.json")
    return EcmwfOpenData(
        cache, mirrors, member=member or None, fetch_seconds=settings.ecmwf.deadline_seconds, now=clock
    )
