"""What a process counts itself while it lives; `ops.metrics` shows it beside what the run history says."""

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

disable_created_metrics()
REGISTRY = CollectorRegistry()

NOTICES = Counter(
    "sigmacast_notices",
    "Deliveries of alerts, by channel and by whether they were taken.",
    ["channel", "result"],
    registry=REGISTRY,
)
PINGS = Counter(
    "sigmacast_pings", "Calls of the dead man's switch, by whether they were taken.", ["result"], registry=REGISTRY
)
TICKS = Histogram(
    "sigmacast_daemon_tick_seconds",
    "Time that the daemon's looks at workers and history take.",
    registry=REGISTRY,
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30),
)
TICK_ERRORS = Counter("sigmacast_daemon_tick_errors", "Looks of the daemon that ended in an error.", registry=REGISTRY)
SCRAPE_ERRORS = Counter(
    "sigmacast_scrape_errors",
    "Groups of metrics that could not be read when they were asked for.",
    ["group"],
    registry=REGISTRY,
)
