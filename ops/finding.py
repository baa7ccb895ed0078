"""What the doctor says of one thing that was looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` says what to do when it is not `ok`, `advice` what could be better."""

    subject: str
    ok: bool
    found: str
    mend: str = ""
    advice: str = ""
