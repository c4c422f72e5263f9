"""A mail in a mailbox of the brand to what it means there: whose it is, what it answers, what it reports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connectors.base import InboundMessage, Item, Rejected, Undelivered
from connectors.email import tokens as reply_tokens
from connectors.email.tokens import Tokens
from connectors.fields import BadRecord, content_id, known_id
from connectors.mime import parse_mail
from connectors.mime_headers import (
    Headers,
    author_of,
    first,
    ids_in,
    message_id_of,
    parents_of,
    plain_addresses,
    read_headers,
)
from connectors.mime_reports import failure_in

_RECIPIENTS = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")
_MAX_KEPT_REFERENCES = 30
_MAX_KEPT_ID = 900  # a line of mail has at most 998 characters


@dataclass(frozen=True, slots=True)
class Rules:
    """What is known of the mailbox that a mail lies in. `own` are the brand's addresses, in lower case."""

    own: Collection[str]
    tokens: Tokens
    own_lists: Collection[str]
    max_body_bytes: int
    max_attachment_bytes: int
    now: datetime


def read(raw: bytes, folder: str, rules: Rules) -> tuple[Item, ...]:
    """What a mail brings: itself, or why it cannot be read; before it, what it reports as undelivered."""
    headers = read_headers(raw)
    where = place(folder, headers, raw)
    mail = parse_mail(
        raw,
        where=where,
        now=rules.now,
        max_body_bytes=rules.max_body_bytes,
        max_attachment_bytes=rules.max_attachment_bytes,
        whole=True,
        own_lists=rules.own_lists,
    )
    items: list[Item] = list(_undelivered(raw, headers, mail, rules))
    if isinstance(mail, InboundMessage):
        try:
            mail = _in_this_mailbox(mail, headers, rules)
        except BadRecord as bad:
            mail = Rejected(raw, bad.reason, bad.detail, where)
    return (*items, mail)


def place(folder: str, headers: Headers, raw: bytes) -> str:
    """Where a mail lies, by its Message-ID: its number there changes with the folder's UIDVALIDITY."""
    return f"{folder}, {known_name(message_id_of(headers)) or content_id(raw)}"


def known_name(message_id: str | None) -> str | None:
    """An id as it is stored, None where there is none that can be."""
    try:
        return known_id(message_id) if message_id else None
    except BadRecord:
        return None


def _undelivered(
    raw: bytes, headers: Headers, mail: InboundMessage | Rejected, rules: Rules
) -> list[Undelivered]:
    # A bounce without a sender is still a bounce.
    if isinstance(mail, InboundMessage) and mail.nature not in ("bounce", "auto_reply"):
        return []
    failure = failure_in(raw)
    if failure is None:
        return []
    ids = [each for each in failure.message_ids if rules.tokens.is_ours(each)]
    token = rules.tokens.among(plain_addresses(headers, *_RECIPIENTS))
    if token and not ids:
        ids = [rules.tokens.message_id(token)]
    return [Undelivered(each, failure.detail) for each in ids]


def _in_this_mailbox(mail: InboundMessage, headers: Headers, rules: Rules) -> InboundMessage:
    tokens = rules.tokens
    mail = replace(mail, in_reply_to=_answers(headers, tokens), meta=_meta(mail, headers))
    message_id = message_id_of(headers)
    if message_id is not None and tokens.is_ours(message_id):
        # Our own reply: out of the folder of sent mails, or by a list that we wrote to.
        return replace(mail, incoming=False)
    own = mail.author is not None and _is_own(mail.author.identities[0].value, rules.own)
    looped = tokens.genuine(first(headers, reply_tokens.HEADER.lower())) or any(
        own_address in headers.get("x-loop", ()) for own_address in rules.own
    )
    if own and (mail.automatic or looped):
        return replace(mail, incoming=False, automatic=True, nature="loop")
    if looped and mail.nature != "bounce":
        return replace(mail, automatic=True, nature="loop")
    if own:
        return _of_a_form(mail, headers, rules.own)
    return mail


def _of_a_form(mail: InboundMessage, headers: Headers, own: Collection[str]) -> InboundMessage:
    """A form on a website writes in the brand's name, and says in Reply-To who has filled it in."""
    try:
        author = author_of(headers, ("reply-to",))
    except BadRecord:
        return replace(mail, incoming=False)
    if _is_own(author.identities[0].value, own):
        return replace(mail, incoming=False)
    return replace(mail, author=author)


def _is_own(address: str, own: Collection[str]) -> bool:
    local, _, domain = address.rpartition("@")
    return address in own or f"{local.partition('+')[0]}@{domain}" in own


def _answers(headers: Headers, tokens: Tokens) -> tuple[str, ...]:
    """What it answers: by our signed token, then by its own word. What pretends to be ours is left out."""
    token = tokens.among(plain_addresses(headers, *_RECIPIENTS))
    told = [each for each in parents_of(headers) if not tokens.is_forged(each)]
    signed = [each for each in told if tokens.is_ours(each)]
    if token is not None:
        signed.insert(0, tokens.message_id(token))
    return tuple(dict.fromkeys([*signed, *told]))


def _meta(mail: InboundMessage, headers: Headers) -> dict[str, Any]:
    """What an answer needs: the id as it came (the stored one may be shortened) and those before it."""
    meta: dict[str, Any] = {}
    message_id = message_id_of(headers)
    if message_id is not None and len(message_id) <= _MAX_KEPT_ID and "\x00" not in message_id:
        meta["message_id"] = message_id
    references = [
        each for each in ids_in(headers, "references") if len(each) <= _MAX_KEPT_ID and "\x00" not in each
    ]
    references = references or ids_in(headers, "in-reply-to")[:1]
    if references:
        meta["references"] = references[-_MAX_KEPT_REFERENCES:]
    return meta
