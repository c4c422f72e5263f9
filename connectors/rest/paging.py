"""Goes from page to page of a list, however the vendor counts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.base import BadPayload
from connectors.fields import BadRecord
from connectors.rest.client import Answer, RestClient
from connectors.rest.description import Paging, Scalar
from connectors.rest.expressions import Compiled
from connectors.rest.templates import Unfillable, fill, fill_path

Position = str | int
_MAX_PAGES = 1_000


class Listing(Protocol):
    """A request whose answer is a page of a list."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str | None: ...
    @property
    def params(self) -> Mapping[str, Scalar]: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> Any: ...
    @property
    def items(self) -> Compiled: ...
    @property
    def paging(self) -> Paging: ...


@dataclass(frozen=True, slots=True)
class Page:
    """What stands on a page, and where the next one is; None where there is none."""

    items: list[Any]
    next: Position | None


def asked(client: RestClient, call: Any, values: Mapping[str, Any], *, url: str | None = None) -> Answer:
    """Ask what a description says, with its holes filled. Raises: as RestClient.read."""
    try:
        address = url or client.url(fill_path(call.path, values))
    except Unfillable as error:
        raise BadPayload(f"{str(error).capitalize()}.") from None
    return client.read(
        call.method,
        address,
        params=None if url else fill(call.params, values),
        headers=fill(call.headers, values),
        body=fill(call.body, values),
    )


def read_page(
    client: RestClient, listing: Listing, values: Mapping[str, Any], position: Position | None
) -> Page:
    """The page at `position`, the first where that is None. Raises: as RestClient.read, and BadPayload."""
    paging = listing.paging
    if paging.type in ("page", "offset") and position is None:
        position = paging.first if paging.first is not None else int(paging.type == "page")
    at_link = paging.type == "link" and position is not None
    answer = asked(
        client,
        listing,
        {**values, paging.type: position},
        url=client.same_place(str(position), client.url("/")) if at_link else None,
    )
    document = answer.document()
    try:
        items = listing.items(document)
        following = paging.next(document) if paging.next else None
    except BadRecord as bad:
        raise BadPayload(f"In what {listing.path} answered: {bad.detail}") from None
    if not isinstance(items, list):
        raise BadPayload(f"{listing.items.text!r} finds no list in what {listing.path} answered.")
    return Page(items, _next(client, paging, position, items, following, answer))


def read_all(client: RestClient, listing: Listing, values: Mapping[str, Any]) -> Iterator[Any]:
    """Every item of every page. Raises: as `read_page`, and BadPayload where it does not end."""
    position: Position | None = None
    for _ in range(_MAX_PAGES):
        page = read_page(client, listing, values, position)
        yield from page.items
        if page.next is None:
            return
        position = page.next
    raise BadPayload(f"{listing.path} has more than {_MAX_PAGES:,} pages.")


def _next(
    client: RestClient,
    paging: Paging,
    position: Position | None,
    items: list[Any],
    following: Any,
    answer: Answer,
) -> Position | None:
    short = not items or (paging.size is not None and len(items) < paging.size)
    if paging.type in ("page", "offset"):
        if short or not isinstance(position, int):
            return None
        return position + (1 if paging.type == "page" else len(items))
    if paging.type == "link":
        link = following if paging.next else answer.next_link()
        found: Position | None = (
            client.same_place(link, answer.url) if isinstance(link, str) and link else None
        )
    elif paging.type == "cursor":
        usable = isinstance(following, str | int) and not isinstance(following, bool) and following != ""
        found = following if usable else None
    else:
        return None
    # A vendor that leads from a page to the same page would be asked for ever.
    return None if found == position else found
