"""The dashboard: pages for people, rendered by the server, read-only. `router` serves them.

They need no script: one that runs keeps what is shown up to date and makes the countdowns tick.
"""

from ops.web.pages.routes import router

__all__ = ["router"]
