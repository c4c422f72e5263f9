"""Which policy rules: every text that ever ruled is kept, and each decision names its version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.policies.models import PolicyVersion
from hub.settings import Settings
from routing.policy import DEFAULT_POLICY, Policy, read_policy


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """The policy that rules, and the id of its version."""

    version_id: int
    policy: Policy


def policy_text(settings: Settings) -> str:
    """The policy as the settings name it. Raises: OSError where a named file cannot be read."""
    if settings.policy_file is not None:
        return settings.policy_file.read_text(encoding="utf-8")
    default = settings.home / "policy.yaml"
    return default.read_text(encoding="utf-8") if default.exists() else DEFAULT_POLICY


def activate(session: Session, text: str, now: datetime) -> ActivePolicy:
    """Let the policy in `text` rule from now on; a text that ruled before gets its old version back.

    Raises: routing.policy.PolicyError.
    """
    policy = _parsed(text)
    digest = sha256(text.encode()).hexdigest()
    same = select(PolicyVersion).where(PolicyVersion.digest == digest)
    version = session.scalar(same)
    if version is None:
        try:
            with session.begin_nested():
                version = PolicyVersion(digest=digest, source=text, created_at=now, activated_at=now)
                session.add(version)
        except IntegrityError:
            # Another process that starts too was first, with the same text.
            version = session.scalars(same).one()
    elif session.scalar(_newest()) is not version:
        version.activated_at = now
    session.flush()
    return ActivePolicy(version.id, policy)


def active_policy(session: Session) -> ActivePolicy:
    """The policy that rules."""
    version = active_version(session)
    return ActivePolicy(version.id, _parsed(version.source))


def active_version(session: Session) -> PolicyVersion:
    """The version that rules, with its text."""
    version = session.scalar(_newest())
    if version is None:
        raise LookupError("no policy is active: the hub activates one when it starts")
    return version


def _newest() -> Select[PolicyVersion]:
    return select(PolicyVersion).order_by(PolicyVersion.activated_at.desc(), PolicyVersion.id.desc()).limit(1)


@lru_cache(maxsize=8)
def _parsed(text: str) -> Policy:
    return read_policy(text)
