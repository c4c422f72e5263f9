"""Files: fetched where a message names them, and put beside the body of a reply."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connectors.base import Attachment, Batch, InboundMessage, Item, Refused
from connectors.rest.client import FormFile, RestClient
from connectors.rest.description import ReplyFiles
from connectors.rest.templates import fill


@dataclass(frozen=True, slots=True)
class Fetching:
    """Fetches what lies on the vendor's own server or on `hosts`, up to `max_bytes` each.

    Of a message written before `fresh` nothing is fetched: a ticket is read whole whenever it changes, and
    an earlier run brought its files.
    """

    client: RestClient
    hosts: Sequence[str]
    max_bytes: int

    def batches(self, found: Iterable[Batch], fresh: datetime) -> Iterator[Batch]:
        """The same batches, with what could be had. Raises: as RestClient.download."""
        for batch in found:
            yield replace(batch, items=tuple(self.item(each, fresh) for each in batch.items))

    def item(self, item: Item, fresh: datetime) -> Item:
        """The same item, with what could be had. Raises: as RestClient.download."""
        if not isinstance(item, InboundMessage) or not item.attachments:
            return item
        if item.sent_at is not None and item.sent_at < fresh:
            return item
        return replace(item, attachments=tuple(self._had(each) for each in item.attachments))

    def _had(self, named: Attachment) -> Attachment:
        if named.content is not None or not named.url or named.size_bytes > self.max_bytes:
            return named
        return replace(named, content=self.client.download(named.url, self.max_bytes, self.hosts))


def beside(
    rule: ReplyFiles | None, body: Any, attachments: Sequence[Attachment]
) -> tuple[Any, list[FormFile]]:
    """The body of a reply with its files in it, or those that go beside it in a form. Raises: Refused."""
    if not attachments:
        return body, []
    if rule is None:
        raise Refused("The description of this channel does not say how files go with a reply.")
    if rule.most is not None and len(attachments) > rule.most:
        raise Refused(f"{len(attachments)} files; {rule.most} are taken.")
    contents = [_content(each) for each in attachments]
    if rule.max_bytes is not None and sum(map(len, contents)) > rule.max_bytes:
        raise Refused(f"The files have more than the {rule.max_bytes:,} bytes that are taken together.")
    files = list(zip(attachments, contents, strict=True))
    if rule.multipart is not None:
        return body, [(rule.multipart, each.name, each.content_type, content) for each, content in files]
    return {**body, rule.member or "": [_item(rule.item, each, content) for each, content in files]}, []


def _content(attachment: Attachment) -> bytes:
    if attachment.content is None:
        raise Refused(f"The content of {attachment.name!r} is not here.")
    return attachment.content


def _item(template: Any, attachment: Attachment, content: bytes) -> Any:
    values = {
        "name": attachment.name,
        "content_type": attachment.content_type,
        "size": len(content),
        "content": b64encode(content).decode(),
        "description": attachment.description,
    }
    return fill(template, values)
