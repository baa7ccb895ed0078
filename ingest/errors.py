"""What can go wrong with a source of analyses.

Every error says what the caller should do:

    SourceError
    ├── NotYetAvailable   not there yet: ask again after the source's latency
    ├── Busy              asks to be left alone, or does not answer: try again later, or a mirror
    ├── Denied            refuses us: check credentials, licence or address
    ├── Gone              no longer there, or never was: use another source or path
    ├── Broken            damaged or cut off: fetch the file again
    │   └── Changed       replaced while it was read: fetch it again from its start
    ├── Incomplete        sound, but variables, levels or places are missing: add the files that hold them
    └── Refused           sound, but not a global analysis in the units expected: give another file
        ├── WrongTime     valid at another time: ask for that cycle, or give the file of this one
        └── Implausible   no weather looks like this: use another source
"""


class SourceError(Exception):
    """An analysis could not be had."""


class NotYetAvailable(SourceError):
    """The cycle is not published yet; ask again after the source's latency."""


class Busy(SourceError):
    """The source is overloaded or does not answer; try again later, or another mirror.

    `retry_after` is how long the source asks to be left alone [s], None when it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Denied(SourceError):
    """The source refuses us; check credentials, licence or address."""


class Gone(SourceError):
    """The source does not have this, nor will it; use another source or path."""


class Broken(SourceError):
    """The bytes are damaged or cut off; fetch the file again."""


class Changed(Broken):
    """The bytes are of another issue than those before; fetch the file again from its start."""


class Incomplete(SourceError):
    """Variables, levels or places are missing; add the files that hold them."""


class Refused(SourceError):
    """The content is not a global analysis in the expected units; give another file."""


class WrongTime(Refused):
    """The content is valid at another time; ask for that cycle, or give the file of this one."""


class Implausible(Refused):
    """The analysis is whole, but no weather looks like this; use another source."""
