"""Keys of the API: made, checked, revoked. Of a secret only its hash is kept. Functions over a session.

A key is `sc_ID_SECRET`. The secret has 256 random bits, so that one round of SHA-256 hides it as well as many would.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from db.errors import DatabaseError
from db.runs import rows_changed
from db.schema import ApiKey

PREFIX = "sc"
NOTED_EVERY = timedelta(minutes=1)
"""A key's use is written down no more often, so that requests with one seldom wait for the database's writer."""


class UnknownKey(DatabaseError):
    """There is no key of this name or identifier that is still good."""


def create(
    session: Session, name: str, scopes: Sequence[str], now: datetime, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key and its text, which nobody can be told again."""
    identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = ApiKey(
        id=identifier,
        name=name,
        secret_sha256=_digest(secret),
        scopes={"scopes": sorted(set(scopes))},
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, f"{PREFIX}_{identifier}_{secret}"


def verified(session: Session, text: str, now: datetime) -> ApiKey | None:
    """The key of this text if it is good: neither revoked nor expired. A wrong secret takes as long as a right one."""
    prefix, _, rest = text.partition("_")
    identifier, _, secret = rest.partition("_")
    row = session.get(ApiKey, identifier) if prefix == PREFIX and identifier.isalnum() else None
    same = hmac.compare_digest(_digest(secret), row.secret_sha256 if row is not None else _digest(""))
    if row is None or not same or row.revoked_at is not None:
        return None
    return row if row.expires_at is None or row.expires_at > now else None


def scopes(key: ApiKey) -> list[str]:
    """What the key's holder may do."""
    return list(key.scopes["scopes"])


def is_noted(key: ApiKey, now: datetime) -> bool:
    """Whether the use of a key was written down lately."""
    return key.last_used_at is not None and now - key.last_used_at < NOTED_EVERY


def note_use(session: Session, identifier: str, now: datetime) -> None:
    """Write down when a key was used."""
    rows_changed(session, update(ApiKey).where(ApiKey.id == identifier).values(last_used_at=now))


def search(session: Session) -> Sequence[ApiKey]:
    """All keys, the last made first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id)).all()


def revoke(session: Session, name: str, now: datetime) -> list[str]:
    """End the key of this identifier, or all of this name; the identifiers of those that ended. Raises UnknownKey."""
    named = select(ApiKey.id).where(or_(ApiKey.id == name, ApiKey.name == name), ApiKey.revoked_at.is_(None))
    found = sorted(session.scalars(named))
    if not found:
        raise UnknownKey(f"no key {name!r} is there to be revoked: `sigmacast keys` lists those there are")
    rows_changed(session, update(ApiKey).where(ApiKey.id.in_(found)).values(revoked_at=now))
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
