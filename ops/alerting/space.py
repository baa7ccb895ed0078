"""The rule about free space on this machine; each daemon looks at its own."""

import socket

from db.schema import Alert
from ops import disk
from ops.alerting.scene import Finding, Rule, Scene
from ops.alerts import Kind
from ops.disk import Space

GIB = 2**30
ENOUGH_AGAIN = 1.1
"""So many times the limit must be free before an alert is over, so that it does not come and go."""


def _full(scene: Scene) -> list[Finding]:
    limit = scene.settings.alerts.disk_free_gib * GIB
    found = []
    for space in disk.spaces(scene.settings):
        least = limit * ENOUGH_AGAIN if scene.is_open(Kind.DISK, _subject(space)) else limit
        if space.free < least:
            found.append(Finding(_subject(space), _left(space)))
    return found


def _subject(space: Space) -> str:
    return f"{socket.gethostname()} {space.place}"


def _left(space: Space) -> str:
    return f"{space.free / GIB:.1f} GiB of {space.size / GIB:.1f} GiB are free at {space.path}"


def _enough(scene: Scene, alert: Alert) -> str | None:
    here = {_subject(space): space for space in disk.spaces(scene.settings)}
    return _left(here[alert.subject]) if alert.subject in here else None


RULES = (Rule(Kind.DISK, _full, _enough),)
