"""Looks for a reply of ours at the vendor, after nobody could tell whether it arrived."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.base import OutboundMessage, OutcomeUnknown, Sent
from connectors.fields import BadRecord, moment
from connectors.mime_parts import readable
from connectors.rest.client import RestClient
from connectors.rest.description import Description, Find
from connectors.rest.paging import read_all

_CLOCKS_DIFFER = timedelta(minutes=2)


def find(
    client: RestClient,
    description: Description,
    rule: Find,
    message: OutboundMessage,
    values: Mapping[str, Any],
    now: datetime,
) -> Sent | None:
    """The vendor's id of this very reply; None where it surely has none.

    By its text it is found where the vendor has the same words, and nobody can tell where it has them among
    others (a signature put below, for one). Raises: OutcomeUnknown, and as RestClient.read.
    """
    zone = ZoneInfo(description.time_zone)
    words = _words(message.text)
    for each in read_all(client, rule, values):
        try:
            if rule.where is not None and not rule.where.holds(each):
                continue
            if rule.key is not None:
                if str(rule.key(each)) == message.idempotency_key:
                    return _sent(rule, each, "found by its key")
                continue
            said = str((rule.text(each) if rule.text else None) or "")
            forms = {_words(said), _words(readable(said))}
            if not any(words in form for form in forms):
                continue
            sent_at = None if rule.sent_at is None else rule.sent_at(each)
            if message.created_at is None or sent_at is None:
                raise OutcomeUnknown("The vendor has the same words, but not since when.")
            if moment(sent_at, zone, now) < message.created_at - _CLOCKS_DIFFER:
                continue
            if words not in forms:
                raise OutcomeUnknown("The vendor has these words among others; look whether it is the reply.")
            return _sent(rule, each, "found by its text")
        except BadRecord as bad:
            raise OutcomeUnknown(f"What the vendor has cannot be read: {bad.detail}") from None
    return None


def _sent(rule: Find, item: Any, detail: str) -> Sent:
    found = rule.id(item)
    known = isinstance(found, str | int) and not isinstance(found, bool) and found != ""
    return Sent(str(found)[:200] if known else None, detail)


def _words(text: str) -> str:
    return " ".join(text.split())
