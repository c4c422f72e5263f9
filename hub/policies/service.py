"""Which policy rules: every text that ever ruled is kept, and each decision names its version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.database import nudge
from hub.errors import Conflict, Forbidden, NotFound
from hub.policies.models import Origin, PolicyActivation, PolicyVersion
from hub.settings import Settings
from routing.located_yaml import Problem
from routing.policy import DEFAULT_POLICY, Policy, PolicyError, read_policy


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """The policy that rules, and the id of its version."""

    version_id: int
    policy: Policy


def policy_text(settings: Settings) -> str:
    """The policy as the settings name it. Raises: OSError where a named file cannot be read."""
    return _file_text(settings) or DEFAULT_POLICY


def may_change(user: User) -> None:
    """What is promised is for managers and admins. Raises: Forbidden."""
    if user.role not in ("manager", "admin"):
        raise Forbidden("only managers and admins change the policy")


def check(text: str, *, ruled: bool = False) -> tuple[Problem, ...]:
    """All that is wrong with a policy, none where it can rule; `ruled`: where it can again."""
    try:
        _parsed(text, ruled)
    except PolicyError as error:
        return error.problems
    return ()


def activate(
    session: Session,
    text: str,
    now: datetime,
    *,
    user_id: int | None = None,
    origin: Origin = "person",
    instead_of: int | None = None,
    ruled: bool = False,
) -> ActivePolicy:
    """Let the policy in `text` rule from now on; a text that ruled before gets its old version back.

    Those who wait are placed anew in the background. `instead_of`: only if this version rules now. `ruled`:
    it did before, and what is refused since is let be.
    Raises: routing.policy.PolicyError; Conflict, where another version rules.
    """
    policy = _parsed(text, ruled)
    version = _version(session, text, now)
    newest = _newest(session)
    if instead_of is not None and newest is not None and newest.version_id != instead_of:
        raise Conflict(f"version {newest.version_id} rules by now: look at what changed, then do it again")
    # That a file was read is written down even where its text rules already: the next start compares with it.
    read_anew = origin == "file" and newest is not None and newest.origin != "file"
    if newest is None or newest.version_id != version.id or read_anew:
        session.add(PolicyActivation(version_id=version.id, activated_at=now, origin=origin, user_id=user_id))
        session.flush()
        nudge(session, "replace")
    return ActivePolicy(version.id, policy)


def activate_configured(session: Session, settings: Settings, now: datetime) -> ActivePolicy:
    """Let the policy of the settings rule, where it is new: what a hub does when it starts.

    A file counts when it differs from the one that was read last, so that what a person activated since stays
    in force; without a file the built-in policy rules only until somebody gives another.
    Raises: OSError, routing.policy.PolicyError.
    """
    text = _file_text(settings)
    newest = _newest(session)
    if text is not None:
        last = session.scalar(_activations().where(PolicyActivation.origin == "file").limit(1))
        if newest is None or last is None or last.version.source != text:
            return activate(session, text, now, origin="file")
    elif newest is None or newest.origin == "built-in":
        return activate(session, DEFAULT_POLICY, now, origin="built-in")
    return active_policy(session)


def activate_version(
    session: Session,
    version_id: int,
    now: datetime,
    user_id: int | None,
    *,
    instead_of: int | None = None,
) -> ActivePolicy:
    """Let a version rule again. Raises: NotFound; as `activate`."""
    source = find_version(session, version_id).source
    return activate(session, source, now, user_id=user_id, instead_of=instead_of, ruled=True)


def step_back(session: Session, now: datetime, user_id: int | None) -> ActivePolicy:
    """Let the version rule that ruled before. Raises: Conflict, where there was none."""
    before = version_before(session)
    if before is None:
        raise Conflict("no other version ruled before this one")
    return activate(session, before.source, now, user_id=user_id, ruled=True)


def find_version(session: Session, version_id: int) -> PolicyVersion:
    """A version by its number. Raises: NotFound."""
    version = session.get(PolicyVersion, version_id)
    if version is None:
        raise NotFound(f"there is no version {version_id} of the policy")
    return version


def version_before(session: Session) -> PolicyVersion | None:
    """The version that ruled before the one that rules, None where there was none."""
    active = active_version(session)
    return session.scalar(
        select(PolicyVersion)
        .join(PolicyActivation, PolicyActivation.version_id == PolicyVersion.id)
        .where(PolicyActivation.version_id != active.id)
        .order_by(PolicyActivation.id.desc())
        .limit(1)
    )


def active_policy(session: Session) -> ActivePolicy:
    """The policy that rules."""
    version = active_version(session)
    policy = _parsed(version.source, ruled=True)
    _known(session)[version.id] = policy
    return ActivePolicy(version.id, policy)


def policy_of(session: Session, version_id: int | None) -> Policy:
    """The policy of a version, looked for once in a session; the one that rules, where nobody knows which.

    So it is of what was placed before that was kept, and of a text that can be read no more.
    """
    if version_id is None:
        return active_policy(session).policy
    known = _known(session)
    if version_id not in known:
        version = session.get(PolicyVersion, version_id)
        try:
            policy = _parsed(version.source, ruled=True) if version is not None else None
        except PolicyError:
            policy = None
        known[version_id] = policy or active_policy(session).policy
    return known[version_id]


def _known(session: Session) -> dict[int, Policy]:
    known: dict[int, Policy] = session.info.setdefault("policies", {})
    return known


def active_version(session: Session) -> PolicyVersion:
    """The version that rules, with its text."""
    return active_since(session).version


def active_since(session: Session) -> PolicyActivation:
    """When the version that rules began to, and by whom."""
    newest = _newest(session)
    if newest is None:
        raise LookupError("no policy is active: the hub activates one when it starts")
    return newest


def _newest(session: Session) -> PolicyActivation | None:
    return session.scalar(_activations().limit(1))


def _activations() -> Select[PolicyActivation]:
    return select(PolicyActivation).order_by(PolicyActivation.id.desc())


def _version(session: Session, text: str, now: datetime) -> PolicyVersion:
    digest = sha256(text.encode()).hexdigest()
    same = select(PolicyVersion).where(PolicyVersion.digest == digest)
    version = session.scalar(same)
    if version is None:
        try:
            with session.begin_nested():
                version = PolicyVersion(digest=digest, source=text, created_at=now)
                session.add(version)
        except IntegrityError:
            # Another process that starts too was first, with the same text.
            version = session.scalars(same).one()
    return version


def _file_text(settings: Settings) -> str | None:
    if settings.policy_file is not None:
        return settings.policy_file.read_text(encoding="utf-8")
    default = settings.home / "policy.yaml"
    return default.read_text(encoding="utf-8") if default.exists() else None


@lru_cache(maxsize=64)
def _parsed(text: str, ruled: bool = False) -> Policy:
    return read_policy(text, ruled=ruled)
