"""What the Climate Data Store and its client say when something is wrong, in the errors of `ingest.errors`."""

import requests
from ecmwf.datastores.processing import ProcessingFailedError

from ingest.errors import Broken, Busy, Denied, Gone, NotYetAvailable, Refused, SourceError

_BY_WORDS: tuple[tuple[tuple[str, ...], type[SourceError], str], ...] = (
    (("available yet",), NotYetAvailable, "ask again when ERA5T has come as far, about 5 days later"),
    (("licence", "license"), Denied, "accept the licence of the dataset on its page, once"),
    (("cost limit", "too large"), Refused, "let a request ask for fewer fields"),
    (("queued requests", "daily requests", "limited", "too many"), Busy, "try again later"),
    (("no data", "any data", "nodataerror"), Busy, "try again later, or use another source"),
)
_BY_STATUS: dict[int, tuple[type[SourceError], str]] = {
    401: (Denied, "check the key"),
    403: (Denied, "check the key, and that the licence of the dataset is accepted"),
    404: (Gone, "check the address of the store, or use another source"),
    408: (Busy, "try again later"),
    429: (Busy, "try again later"),
}
_LONGEST_QUOTE = 400


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, None when there is none."""
    response = error.response if isinstance(error, requests.HTTPError) else None
    return None if response is None else response.status_code


def source_error(error: Exception, label: str, secret: str | None, failed: bool) -> SourceError:
    """The error to raise instead; it quotes the store but never the secret. `failed` is whether a job had failed."""
    said = " ".join(str(error).split()) or type(error).__name__
    if secret:
        said = said.replace(secret, "(key)")
    kind, advice = _meaning(error, said.lower(), failed)
    return kind(f"{label}: the Climate Data Store says: {said[:_LONGEST_QUOTE]}; {advice}")


def _meaning(error: Exception, said: str, failed: bool) -> tuple[type[SourceError], str]:
    for words, kind, advice in _BY_WORDS:
        if any(word in said for word in words):
            return kind, advice
    status = status_of(error)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if failed or isinstance(error, ProcessingFailedError) or (status is not None and status >= 500):
        return Busy, "try again later, or use another source"
    if status is not None:
        return Refused, "check the request"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return Busy, "try again later"
    return Broken, "it answered as no data store does; check its address"
