"""Who may sign in, and who is on duty."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.accounts.models import ROLES, ApiToken, User
from hub.database import nudge
from hub.errors import Conflict, Invalid, NotFound, Unauthorized

# Argon2id with the library's defaults, which follow RFC 9106's low-memory profile.
_hasher = PasswordHasher()
_UNKNOWN = _hasher.hash(secrets.token_hex())
SEEN_EVERY = timedelta(seconds=30)
LATELY = 2 * SEEN_EVERY


def add_user(session: Session, *, email: str, name: str, role: str, password: str, now: datetime) -> User:
    """Let somebody sign in. Raises: Invalid, Conflict where the mail address is taken."""
    email = email.strip().lower()
    if "@" not in email:
        raise Invalid(f"{email!r} is not a mail address", field="email")
    if role not in ROLES:
        raise Invalid(f"role {role!r} is none of {', '.join(ROLES)}", field="role")
    if len(password) < 8:
        raise Invalid("a password has at least 8 characters", field="password")
    if session.scalar(select(User.id).where(User.email == email)):
        raise Conflict(f"there is a user {email} already", field="email")
    user = User(email=email, name=name, role=role, password_hash=_hasher.hash(password), created_at=now)
    session.add(user)
    session.flush()
    return user


def find_user(session: Session, email: str) -> User:
    """The user with this mail address. Raises: NotFound."""
    user = session.scalar(select(User).where(User.email == email.strip().lower()))
    if user is None:
        raise NotFound(f"no user {email}")
    return user


def all_users(session: Session) -> Sequence[User]:
    """Everybody, by mail address."""
    return session.scalars(select(User).order_by(User.email)).all()


def set_disabled(user: User, disabled: bool, now: datetime) -> None:
    """Lock a user out with all their tokens, or let them in again."""
    user.disabled_at = (user.disabled_at or now) if disabled else None


def set_password(session: Session, user: User, password: str) -> None:
    """Give `user` another password. Raises: Invalid."""
    if len(password) < 8:
        raise Invalid("a password has at least 8 characters", field="password")
    user.password_hash = _hasher.hash(password)


def sign_in(session: Session, email: str, password: str) -> User:
    """The user with this mail address and password. Raises: Unauthorized, and takes as long either way."""
    user = session.scalar(select(User).where(User.email == email.strip().lower(), User.disabled_at.is_(None)))
    try:
        _hasher.verify(user.password_hash if user else _UNKNOWN, password)
    except VerificationError:
        user = None
    if user is None:
        raise Unauthorized("this mail address and password do not belong together")
    return user


def create_token(session: Session, user: User, name: str, now: datetime) -> str:
    """A new API token, shown this once."""
    token = f"hub_{secrets.token_urlsafe(32)}"
    session.add(ApiToken(user_id=user.id, name=name, digest=_digest(token), created_at=now))
    session.flush()
    return token


def revoke_tokens(session: Session, user: User, name: str, now: datetime) -> int:
    """End all of a user's tokens of this name; how many there were."""
    found = session.scalars(
        select(ApiToken).where(
            ApiToken.user_id == user.id, ApiToken.name == name, ApiToken.revoked_at.is_(None)
        )
    ).all()
    for token in found:
        token.revoked_at = now
    return len(found)


def live_tokens(session: Session) -> dict[int, list[ApiToken]]:
    """The tokens that serve, by user id, the oldest first."""
    found: dict[int, list[ApiToken]] = {}
    for token in session.scalars(
        select(ApiToken).where(ApiToken.revoked_at.is_(None)).order_by(ApiToken.created_at, ApiToken.id)
    ):
        found.setdefault(token.user_id, []).append(token)
    return found


def user_of_token(session: Session, token: str) -> User:
    """Whose token this is. Raises: Unauthorized."""
    user = session.scalar(
        select(User)
        .join(ApiToken)
        .where(ApiToken.digest == _digest(token), ApiToken.revoked_at.is_(None), User.disabled_at.is_(None))
    )
    if user is None:
        raise Unauthorized("this token is not known or was revoked")
    return user


def needs_heartbeat(user: User, now: datetime) -> bool:
    """Whether it is time to note again that `user` is here; not at every request, to spare the database."""
    return user.seen_at is None or now - user.seen_at > SEEN_EVERY


def heartbeat(session: Session, user_id: int, now: datetime) -> None:
    """Note that the user is here."""
    here = update(User).where(User.id == user_id).values(seen_at=now)
    if not session.scalars(here.where(User.seen_at > now - LATELY).returning(User.id)).all():
        session.execute(here)
        # They come back, and may be given something.
        nudge(session, "assign")


def choose_mails(user: User, wanted: bool) -> None:
    """Whether they want warnings by mail too."""
    user.warning_mails = wanted


def keep_zone(session: Session, user_id: int, zone: str) -> None:
    """Remember the time zone of their browser; one that nobody knows is left."""
    try:
        known = ZoneInfo(zone).key
    except (KeyError, ValueError, OSError):
        return
    session.execute(update(User).where(User.id == user_id).values(time_zone=known))


def set_away(session: Session, user_id: int, away: bool, now: datetime, because: str | None = None) -> None:
    """Go off duty, or come back; `because` says why where the hub sets them away."""
    session.execute(
        update(User)
        .where(User.id == user_id, User.away.is_not(away))
        .values(
            away=away,
            away_since=now if away else None,
            away_because=because if away else None,
            back_at=User.back_at if away else now,
        )
    )
    nudge(session, "assign")


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
