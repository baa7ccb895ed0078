"""The JSON API, version 1, below /api/v1."""

from ops.web.api import alerts, downloads, orders, products, runs, status

routers = tuple(part.router for part in (runs, products, downloads, alerts, orders, status))
