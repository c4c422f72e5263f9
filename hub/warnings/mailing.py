"""Warnings that also go out by mail: claimed, looked at again, handed over once, and what came of it.

A mail leaves at most once. The server's "not now" is tried again with back-off. Where nobody can know whether
the server has it (a crash, a cut connection), it is not sent again: a warning that comes twice is worse than
one that is only on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from hashlib import sha256
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from connectors.base import ConnectorError, OutcomeUnknown, RetryLater
from connectors.email.config import EmailConfig, Security
from connectors.email.oauth import AccessTokens
from connectors.email.smtp import SmtpClient
from hub import log
from hub.accounts.models import User
from hub.backoff import pause_seconds
from hub.clock import utcnow
from hub.conversations.promises import standing
from hub.database import nudge
from hub.policies.service import active_policy
from hub.runtime import Hub
from hub.settings import Settings
from hub.warnings.models import PromiseWarning, WarningMail
from hub.web.render import duration
from routing.policy import Policy

logger = log.get(__name__)
# Who has the hub open reads it there, and needs no mail.
AFTER = timedelta(minutes=1)
# A warning that could not be mailed for so long is no warning any more.
LATEST = timedelta(hours=12)
METRICS = {
    "first_reply_time": "first reply",
    "next_reply_time": "next reply",
    "periodic_update_time": "update",
    "resolution_time": "resolution",
}
SECURITY: dict[str, Security] = {"smtps": "tls", "smtp": "starttls", "smtp+plain": "none"}
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Claim:
    mail_id: int
    leased_until: datetime
    message: EmailMessage
    to: str


def want_mail(session: Session, warning: PromiseWarning, user: User, now: datetime) -> None:
    """Have a warning mailed too, a minute from now, if its reader wants that."""
    if user.warning_mails:
        session.add(WarningMail(warning=warning, due_at=now + AFTER))
        nudge(session, "mail")


def mail_warnings(hub: Hub) -> int:
    """Send the mail that has been due longest; how many there were. Without a server none is kept waiting."""
    config = smtp_config(hub.settings)
    claim = None
    with hub.database.session() as session:
        mail = _due(session, utcnow())
        if mail is None:
            return 0
        if config is None:
            session.delete(mail)
        else:
            claim = _claim(session, mail, hub.settings, utcnow())
    if claim is not None and config is not None:
        state, detail, retry_after = _send(claim, config)
        with hub.database.session() as session:
            _store(session, hub.settings, claim, state, detail, retry_after, utcnow())
    return 1


def smtp_config(settings: Settings) -> EmailConfig | None:
    """Where mails leave, by `smtp_url` and `mail_from`; None where that is not set."""
    if settings.smtp_url is None or not settings.smtp_url.get_secret_value():
        return None
    url = urlsplit(settings.smtp_url.get_secret_value())
    return EmailConfig.model_validate(
        {
            "address": settings.mail_from,
            "smtp_host": url.hostname,
            "smtp_port": url.port,
            "smtp_security": SECURITY[url.scheme],
            "smtp_sign_in": bool(url.username),
            "smtp_user": unquote(url.username or ""),
            "smtp_password": unquote(url.password or ""),
        }
    )


def _due(session: Session, now: datetime) -> WarningMail | None:
    return session.scalar(
        select(WarningMail)
        .where(WarningMail.due_at <= now)
        .order_by(WarningMail.due_at, WarningMail.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _claim(session: Session, mail: WarningMail, settings: Settings, now: datetime) -> _Claim | None:
    """None where there is nothing to send now, or any more."""
    if mail.state == "sending":
        _end(mail, "unknown", "interrupted before the server's answer was stored", now)
        return None
    policy = active_policy(session).policy
    if not _is_news(mail, now):
        _end(mail, "dropped", "", now)
        return None
    quiet_until = _quiet_until(policy, mail.warning, now)
    if quiet_until is not None:
        mail.due_at = quiet_until
        return None
    mail.state, mail.tries = "sending", mail.tries + 1
    mail.due_at = leased_until = now + timedelta(seconds=settings.delivery_lease_seconds)
    user = session.get_one(User, mail.warning.user_id)
    message = compose(mail.warning, user, policy, settings, now)
    return _Claim(mail.id, leased_until, message, user.email)


def _is_news(mail: WarningMail, now: datetime) -> bool:
    """Whether there is still something to warn of that its reader has not seen."""
    warning = mail.warning
    if warning.read_at is not None or now - warning.created_at > LATEST:
        return False
    user = warning.user
    if user.disabled_at is not None or not user.warning_mails:
        return False
    return warning.promise is None or warning.promise.is_open


def _quiet_until(policy: Policy, warning: PromiseWarning, now: datetime) -> datetime | None:
    """When somebody may be disturbed by its step; None: now."""
    # One moment may be a step for each metric. What an automation tells is of none.
    steps = (each for each in policy.warnings if each.at == warning.step and warning.metric in each.metrics)
    name = next((each.hours for each in steps), None)
    hours = policy.calendar(name) if name else None
    if hours is None or hours.is_open(now):
        return None
    return hours.deadline(now, _INSTANT) - _INSTANT


def compose(
    warning: PromiseWarning, user: User, policy: Policy, settings: Settings, now: datetime
) -> EmailMessage:
    """The mail of a warning; its Message-ID is the same for every try. No machine answers it (RFC 3834)."""
    conversation = warning.conversation
    link = f"{settings.public_url.rstrip('/')}/conversations/{conversation.id}"
    about = f"Conversation {conversation.id} with {conversation.customer.name}"
    if conversation.subject:
        about += f", “{conversation.subject}”"
    lines = [f"{about} ({conversation.goes_by.name})."]
    if warning.promise is None:
        head = f"{warning.step}: {conversation.customer.name}"
        lines.append(f"The automation “{warning.step}” wants you to know of it.")
    else:
        promise, metric = warning.promise, METRICS[warning.promise.metric]
        settled = standing(promise, now)
        left = (promise.due_at - now).total_seconds()
        zone = ZoneInfo(user.time_zone or policy.time_zone)
        due = f"{promise.due_at.astimezone(zone):%A, %d %B %Y, %H:%M} ({zone.key})"
        terms = f"{promise.policy} promises a {metric} within {duration(promise.target_seconds)}"
        if settled.breached_at is not None:
            head = f"{duration(settled.late_by_seconds)} late: {metric} to {conversation.customer.name}"
            lines.append(f"{terms}. It was due on {due} and is {duration(settled.late_by_seconds)} late.")
        else:
            head = f"{duration(left)} left: {metric} to {conversation.customer.name}"
            lines.append(f"{terms}. It is due on {due}, in {duration(left)}.")
        lines.append(f"You were to be told at {warning.step}.")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = formataddr((_plain(settings.brand), settings.mail_from))
    mail["To"] = user.email
    mail["Subject"] = _plain(head)
    mail["Date"] = format_datetime(now)
    domain = settings.mail_from.rpartition("@")[2]
    token = sha256(f"{settings.key}:warning:{warning.id}".encode()).hexdigest()[:24]
    mail["Message-ID"] = f"<warning-{warning.id}-{token}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    whether = f"Whether you get such mails is your choice: {settings.public_url.rstrip('/')}/warnings"
    mail.set_content("\n\n".join([*lines, link, whether]) + "\n", cte="quoted-printable")
    return mail


def _plain(text: str) -> str:
    return " ".join(text.split())[:200]


def _send(claim: _Claim, config: EmailConfig) -> tuple[str, str, float]:
    """What came of it: a state, in words why, and how long the server asks to wait."""
    try:
        client = SmtpClient(config, AccessTokens(config))
        client.send(claim.message, config.address, claim.to)
    except RetryLater as error:
        return "pending", str(error), error.after_seconds or 0.0
    except OutcomeUnknown as error:
        return "unknown", str(error), 0.0
    except ConnectorError as error:
        return "failed", str(error), 0.0
    except Exception as error:
        logger.error("warning_mail_crashed", mail_id=claim.mail_id, exc_info=error)
        return "unknown", f"sending failed: {type(error).__name__}", 0.0
    return "sent", "", 0.0


def _store(
    session: Session,
    settings: Settings,
    claim: _Claim,
    state: str,
    detail: str,
    retry_after: float,
    now: datetime,
) -> None:
    mail = session.get_one(WarningMail, claim.mail_id, with_for_update=True)
    if mail.due_at != claim.leased_until and state != "sent":
        # Our lease ran out, and what became of it was given up already.
        return
    if state == "pending" and mail.tries < settings.delivery_attempts:
        mail.state, mail.detail = "pending", detail
        mail.due_at = now + timedelta(seconds=pause_seconds(mail.tries, retry_after))
    else:
        _end(mail, "failed" if state == "pending" else state, detail, now)
    logger.info("warning_mail", mail_id=mail.id, outcome=mail.state, tries=mail.tries)


def _end(mail: WarningMail, state: str, detail: str, now: datetime) -> None:
    mail.state, mail.detail, mail.due_at, mail.ended_at = state, detail, None, now
    # Open pages learn of it.
    mail.warning.conversation.updated_at = now
