"""The JSON API, version 1, below /api/v1."""

from fastapi import APIRouter

from ops.web.api import alerts, downloads, orders, products, runs, status

PREFIX = "/api/v1"

router = APIRouter(prefix=PREFIX)
for _part in (runs, products, downloads, alerts, orders, status):
    router.include_router(_part.router)
