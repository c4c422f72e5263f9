"""Users and API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import CheckConstraint, ForeignKey, String, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.database import Base, JsonColumn, UtcDateTime

Role = Literal["agent", "social", "manager", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


class User(Base):
    """Somebody who signs in. On duty while seen lately and not away.

    `teams` and `skills` (each with a level, 1 to 5) are names of the policy; `capacity` is theirs instead of
    the policy's, in units. `away_since` is when they went away, while `away`, and `away_because`
    says why where the hub set them away; `back_at` is when they last came back. `warning_mails`: they want
    warnings by mail too. `time_zone` is their browser's, when they signed in last.
    """

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(f"role IN {ROLES}", name="role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    away: Mapped[bool] = mapped_column(default=False)
    away_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    away_because: Mapped[str | None] = mapped_column(String(200))
    back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    teams: Mapped[list[str]] = mapped_column(JsonColumn, default=list, server_default="[]")
    skills: Mapped[dict[str, int]] = mapped_column(JsonColumn, default=dict, server_default="{}")
    capacity: Mapped[int | None]
    warning_mails: Mapped[bool] = mapped_column(default=True, server_default=true())
    time_zone: Mapped[str | None] = mapped_column(String(64))


class ApiToken(Base):
    """A key to the API; only its SHA-256 is stored."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship()
