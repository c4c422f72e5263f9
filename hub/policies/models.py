"""Policy versions, and when each ruled."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.accounts.models import User
from hub.database import Base, UtcDateTime

Origin = Literal["built-in", "file", "person"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)


class PolicyVersion(Base):
    """The text of a policy that ruled at some time, never changed."""

    __tablename__ = "policy_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PolicyActivation(Base):
    """That a version began to rule; the newest rules.

    `origin` is where its text was taken from; `user_id` the person who let it rule, None where it was the
    command line or the hub itself.
    """

    __tablename__ = "policy_activations"
    __table_args__ = (CheckConstraint(f"origin IN {ORIGINS}", name="origin"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("policy_versions.id"), index=True)
    activated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    origin: Mapped[str] = mapped_column(String(10))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    version: Mapped[PolicyVersion] = relationship()
    user: Mapped[User | None] = relationship()
