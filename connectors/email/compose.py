"""An agent's reply to a mail (RFC 5322): threaded, signed by our token, as plain text and as HTML."""

from __future__ import annotations

import html
import re
from datetime import datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime

from connectors.base import OutboundMessage, Refused
from connectors.email.config import EmailConfig
from connectors.email.tokens import HEADER, Tokens, plus_address

_MAX_REFERENCES = 30
_IDS = ("message-id", "in-reply-to", "references")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_BARE_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\]+@[^\s@<>(),;:\"\\]+")
_BARE_ID = re.compile(r"[^\s<>]{1,900}")
_REPLY = re.compile(r"re\s*(\[\d+\])?\s*:", re.IGNORECASE)
_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")


class _Policy(EmailPolicy):
    """Never splits or encodes an id: the standard library does both to long ones, and threads break."""

    def _fold(self, name: str, value: str, refold_binary: bool = False) -> str:
        if name.lower() in _IDS:
            return f"{name}: {(self.linesep + ' ').join(str(value).split())}{self.linesep}"
        folded: str = super()._fold(name, value, refold_binary)  # type: ignore[misc]
        return folded


_WIRE = _Policy(linesep="\r\n", raise_on_defect=False)


def compose(message: OutboundMessage, config: EmailConfig, tokens: Tokens, now: datetime) -> EmailMessage:
    """The mail to send. Every try at a message makes the same one, but for the marks between its parts.

    Raises: Refused where it has no recipient, or an attachment without content.
    """
    recipient = recipient_of(message)
    token = tokens.token(message.idempotency_key)
    mail = EmailMessage(policy=_WIRE.clone(utf8=not recipient.isascii()))
    # Not by `Address`: that would not take what is written in other letters.
    mail["From"] = f"{_quoted(_sender_name(message, config))} <{config.address}>".strip()
    mail["To"] = recipient
    if config.reply_plus:
        mail["Reply-To"] = plus_address(config.address, token)
    mail["Subject"] = _subject(message)
    mail["Date"] = format_datetime(message.created_at or now)
    mail["Message-ID"] = f"<{tokens.message_id(token)}>"
    references = _references(message)
    if references:
        mail["In-Reply-To"] = f"<{references[-1]}>"
        mail["References"] = " ".join(f"<{each}>" for each in references)
    if message.automatic:
        # RFC 3834, section 5: no machine answers it. The second is for Exchange, which does not look there.
        mail["Auto-Submitted"] = "auto-replied"
        mail["X-Auto-Response-Suppress"] = "All"
    mail[HEADER] = token
    text = message.text.replace("\r\n", "\n").replace("\x00", "").encode(errors="replace").decode()
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(as_html(text), subtype="html", cte="quoted-printable")
    for attachment in message.attachments:
        if attachment.content is None:
            raise Refused(f"The attachment {attachment.name!r} has no content that could be sent.")
        main, _, sub = attachment.content_type.partition("/")
        if main not in ("text", "image", "audio", "video", "application") or not re.fullmatch(
            r"[\w.+-]+", sub
        ):
            main, sub = "application", "octet-stream"
        name = _plain(attachment.name) or "attachment"
        mail.add_attachment(attachment.content, maintype=main, subtype=sub, filename=name)
    return mail


def recipient_of(message: OutboundMessage) -> str:
    """The address that a reply goes to, its domain in ASCII. Raises: Refused."""
    who = message.recipient
    if who is None or who.kind != "email" or not _BARE_ADDRESS.fullmatch(who.value):
        raise Refused("The customer has no mail address that a reply could go to.")
    local, _, domain = who.value.rpartition("@")
    try:
        return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise Refused("The customer's mail address has no valid domain.") from error


def as_html(text: str) -> str:
    """Plain text as HTML: paragraphs, line breaks, links."""
    paragraphs = [part.strip("\n") for part in re.split(r"\n[ \t]*\n", text) if part.strip()]
    body = "\n".join(f"<p>{'<br>'.join(map(_linked, part.splitlines()))}</p>" for part in paragraphs)
    return f'<!doctype html><html><head><meta charset="utf-8"></head><body>\n{body}\n</body></html>\n'


def _linked(line: str) -> str:
    found: list[str] = []
    place = 0
    for match in _LINK.finditer(line):
        url = html.escape(match[0])
        found += [html.escape(line[place : match.start()]), f'<a href="{url}">{url}</a>']
        place = match.end()
    return "".join([*found, html.escape(line[place:])])


def _sender_name(message: OutboundMessage, config: EmailConfig) -> str:
    agent, brand = _plain(message.author_name), _plain(config.brand_name)
    return f"{agent} ({brand})" if agent and brand else agent or brand


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if name else ""


def _subject(message: OutboundMessage) -> str:
    subject = _plain(message.subject or "")
    return subject if _REPLY.match(subject) else f"Re: {subject}".strip()


def _references(message: OutboundMessage) -> list[str]:
    """All mails before, the one that is answered last; of many the first and the newest."""
    answered = message.answered.get("message_id") or message.in_reply_to
    before = message.answered.get("references") or message.references
    ids = [each for each in (*before, answered) if each and _is_message_id(str(each))]
    unique = list(dict.fromkeys(reversed(ids)))[::-1]
    return unique if len(unique) <= _MAX_REFERENCES else [unique[0], *unique[1 - _MAX_REFERENCES :]]


def _is_message_id(value: str) -> bool:
    # A mail without Message-ID is stored under a hash, which nobody else knows.
    return _BARE_ID.fullmatch(value) is not None and value.isascii() and not value.startswith("sha256:")


def _plain(value: str) -> str:
    return _CONTROL.sub(" ", value).encode(errors="replace").decode().strip()
