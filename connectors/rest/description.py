"""What a description may say. Checked when it is read: errors name line, field and the nearest name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from connectors.rest.expressions import Compiled, Expression, nearest
from connectors.rest.located import Document, Path, Problem, read_yaml
from connectors.rest.templates import holes

_SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization")
_UNKNOWN = "unknown_names"
_REPLY_HOLES = {
    *("text", "html", "subject", "author_name", "thread", "in_reply_to"),
    *("recipient", "key", "created_at", "automatic"),
}
_FILE_HOLES = {"name", "content_type", "size", "content", "description"}


class DescriptionError(ValueError):
    """The description cannot be used; every problem names its line and field."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is no IANA time zone such as Europe/Berlin") from None
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if name.lower() in _SECRET_HEADERS:
            raise ValueError(f"{name} is a secret: leave it to auth, and give the secret to the channel")
    return value


Scalar = str | bool | int | float
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]
Headers = Annotated[dict[HeaderName, str], AfterValidator(_headers)]
Word = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]
FileHost = Annotated[str, Field(pattern=r"^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$")]
UrlPath = Annotated[str, Field(pattern=r"^/[^?#\s]*$")]


class Part(BaseModel):
    """A part of a description; a name that it does not know is an error that tells the nearest."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _knows_every_name(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            unknown = {str(name): nearest(str(name), list(cls.model_fields)) for name in given}
            unknown = {name: hint for name, hint in unknown.items() if name not in cls.model_fields}
            if unknown:
                raise PydanticCustomError(_UNKNOWN, "unknown names", {"names": unknown})
        return given


class Auth(Part):
    """How requests say who asks. The secrets themselves are settings of the channel."""

    type: Literal["none", "bearer", "basic", "header", "query"] = "none"
    name: str | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.type in ("header", "query") and not self.name:
            raise ValueError(f"{self.type} needs a name: that of the {self.type} that carries the token")
        return self


class Limits(Part):
    """The headers by which the vendor says what is left, and how much of it reading leaves to replies."""

    limit: HeaderName | None = None
    remaining: HeaderName
    resets: HeaderName | None = None
    resets_as: Literal["epoch", "seconds", "iso"] = "epoch"
    reserve: NonNegativeInt = 0


class Call(Part):
    """What every request has but its path."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "GET"
    params: dict[str, Scalar] = {}
    headers: Headers = {}
    body: Any = None


class Request(Call):
    """A request whose path comes after `base_url`."""

    path: UrlPath


class Paging(Part):
    """How one comes to the next page. Without `size` pages end with an empty one."""

    type: Literal["none", "page", "offset", "link", "cursor"] = "none"
    first: NonNegativeInt | None = None
    size: PositiveInt | None = None
    next: Expression | None = None

    @model_validator(mode="after")
    def _knows_the_next(self) -> Self:
        if self.type == "cursor" and self.next is None:
            raise ValueError("cursor needs next: where the answer says what to ask for then")
        return self


class Since(Part):
    """How to ask for what has changed. `field` is a ticket's time of change, in JMESPath."""

    field: Expression
    format: Literal["iso", "epoch", "epoch_ms"] = "iso"
    order: Literal["ascending", "descending", "any"] = "any"
    inclusive: bool = True
    overlap_seconds: NonNegativeInt = 60
    first_hours: PositiveFloat = 24.0


class AuthorFields(Part):
    """Who wrote a message; replies go to the first of these that there is."""

    email: Expression | None = None
    phone: Expression | None = None
    handle: Expression | None = None
    id: Expression | None = None
    loyalty_number: Expression | None = None
    name: Expression | None = None
    followers: Expression | None = None


class AttachmentFields(Part):
    """What came with a message; the expressions are asked of each of `items`.

    `content` is in base64. Where there is none, a file is fetched from `url` if that is on the vendor's own
    server, or on one of `file_hosts`.
    """

    items: Expression
    name: Expression
    content_type: Expression | None = None
    size: Expression | None = None
    url: Expression | None = None
    content: Expression | None = None
    description: Expression | None = None


class MessageFields(Part):
    """A message, field by field. What `where` does not hold for is no message at all."""

    id: Expression
    where: Expression | None = None
    thread: Expression | None = None
    text: Expression | None = None
    html: Expression | None = None
    subject: Expression | None = None
    author: AuthorFields = AuthorFields()
    sent_at: Expression | None = None
    edited_at: Expression | None = None
    deleted: Expression | None = None
    incoming: Expression | None = None
    automatic: Expression | None = None
    url: Expression | None = None
    attachments: AttachmentFields | None = None
    meta: dict[Word, Expression] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and self.html is None:
            raise ValueError("a message needs text or html")
        return self


class Comments(Call):
    """What was said after a ticket's first message. Without `path` it stands in the ticket itself."""

    path: UrlPath | None = None
    items: Expression = Compiled("@")
    paging: Paging = Paging()
    message: MessageFields


class Tickets(Request):
    """Which tickets have changed; `detail` fetches each whole where the list has only its beginning."""

    items: Expression = Compiled("@")
    paging: Paging = Paging()
    since: Since | None = None
    id: Expression
    detail: Request | None = None
    message: MessageFields | None = None
    comments: Comments | None = None

    @model_validator(mode="after")
    def _has_messages(self) -> Self:
        if self.message is None and self.comments is None:
            raise ValueError("tickets need a message, comments, or both")
        return self


class ReplyFiles(Part):
    """How files go with a reply: as fields of a form named `multipart`, or in JSON as `member` of the body, a
    list with an `item` for each."""

    multipart: str | None = None
    member: str | None = None
    item: Any = None
    most: PositiveInt | None = None
    max_bytes: PositiveInt | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.multipart is None) == (self.member is None) or (self.member is None) != (self.item is None):
            raise ValueError("needs multipart, or member and item together")
        return self


class Reply(Request):
    """How an answer is posted. `id` is that of the comment that it becomes."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    id: Expression
    idempotency_header: HeaderName | None = None
    max_length: PositiveInt | None = None
    files: ReplyFiles | None = None


class Find(Request):
    """Where a reply is looked for after a crash: by our key where the vendor keeps it, else by its text."""

    items: Expression = Compiled("@")
    paging: Paging = Paging()
    id: Expression
    where: Expression | None = None
    key: Expression | None = None
    text: Expression | None = None
    sent_at: Expression | None = None

    @model_validator(mode="after")
    def _tells_one_from_another(self) -> Self:
        if self.key is None and (self.text is None or self.sent_at is None):
            raise ValueError("needs key, or text and sent_at together")
        return self


class Signature(Part):
    """How a pushed request is signed (HMAC). `signed` says over what; with a time, an old one is refused."""

    header: HeaderName
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    timestamp_header: HeaderName | None = None
    signed: str = "{body}"
    tolerance_seconds: PositiveInt = 300

    @model_validator(mode="after")
    def _signs_the_body(self) -> Self:
        wanted = {"body", "timestamp"} if self.timestamp_header else {"body"}
        if {name for _, name in holes(self.signed)} != wanted or self.signed.count("{body}") != 1:
            raise ValueError(f"signed must hold {' and '.join(f'{{{name}}}' for name in sorted(wanted))}")
        return self


class Push(Part):
    """Requests that the vendor pushes to us: whole `tickets`, or single messages. Always signed."""

    signature: Signature
    id: Expression | None = None
    id_header: HeaderName | None = None
    tickets: Expression | None = None
    items: Expression | None = None
    message: MessageFields | None = None

    @model_validator(mode="after")
    def _brings_one_or_the_other(self) -> Self:
        if (self.tickets is None) == (self.message is None):
            raise ValueError("needs tickets, or items with a message")
        return self


class Check(Request):
    """A request that says as whom we are known."""

    who: Expression


class Description(Part):
    """One vendor's API."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]
    variables: dict[Word, str] = {}
    network: str = ""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    auth: Auth = Auth()
    headers: Headers = {}
    limits: Limits | None = None
    file_hosts: tuple[FileHost, ...] = ()
    check: Check | None = None
    tickets: Tickets | None = None
    reply: Reply | None = None
    find: Find | None = None
    push: Push | None = None


def read_description(source: str | Mapping[str, Any]) -> Description:
    """A description out of YAML text, or out of a mapping. Raises: DescriptionError."""
    document = read_yaml(source)
    if document.problems:
        raise DescriptionError(document.problems)
    try:
        found = Description.model_validate(document.data)
    except ValidationError as error:
        raise DescriptionError(_problems(error, document)) from None
    contradictions = [document.problem(path, message) for path, message in _contradictions(found)]
    if contradictions:
        raise DescriptionError(contradictions)
    return found


def _problems(error: ValidationError, document: Document) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        path: Path = tuple(part for part in detail["loc"] if part != "[key]")
        match detail["type"]:
            case "unknown_names":
                for name, hint in detail["ctx"]["names"].items():
                    yield document.problem((*path, name), f"unknown name{hint}")
            case "literal_error":
                known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
                hint = nearest(str(detail["input"]), known)
                yield document.problem(path, f"must be one of {', '.join(known)}{hint}")
            case "missing":
                yield document.problem(path, "is missing")
            case "value_error":
                yield document.problem(path, str(detail["ctx"]["error"]))
            case "model_type" | "dict_type":
                yield document.problem(path, "write names and values, one a line")
            case _:
                yield document.problem(path, detail["msg"].replace("Input should", "should"))


def _contradictions(found: Description) -> Iterator[tuple[Path, str]]:
    """Where parts that are right each for itself do not fit together."""
    if found.tickets is None and found.push is None:
        yield (), "needs tickets or push, else nothing ever comes"
    if found.find is not None and found.reply is None:
        yield ("find",), "there is no reply that could be looked for"
    if found.push is not None and found.push.tickets is not None and found.tickets is None:
        yield ("push", "tickets"), "needs tickets, which says what a ticket is made of"
    if found.push is not None and (found.push.message is None) != (found.push.items is None):
        yield ("push",), "items and message belong together"
    own = set(found.variables)
    yield from _unknown_holes(("base_url",), found.base_url, own)
    yield from _unknown_holes(("headers",), found.headers, own)
    if found.check is not None:
        yield from _request(("check",), found.check, own, None)
    if found.tickets is not None:
        yield from _in_tickets(found.tickets, own)
    answered = {f"answered.{name}" for fields in _messages(found) for name in fields.meta}
    if found.reply is not None:
        yield from _request(("reply",), found.reply, own | _REPLY_HOLES | answered, None)
        yield from _in_files(found.reply)
    if found.find is not None:
        yield from _request(("find",), found.find, own | _REPLY_HOLES | answered, found.find.paging)


def _in_files(reply: Reply) -> Iterator[tuple[Path, str]]:
    if reply.files is None:
        return
    yield from _unknown_holes(("reply", "files", "item"), reply.files.item, _FILE_HOLES)
    if not isinstance(reply.body, Mapping):
        yield ("reply", "files"), "files need a body of names and values"
    elif reply.files.multipart and any(isinstance(each, Mapping | list) for each in reply.body.values()):
        yield ("reply", "files"), "a form has no room for what is nested in the body"


def _in_tickets(tickets: Tickets, own: set[str]) -> Iterator[tuple[Path, str]]:
    since = {"since"} if tickets.since is not None else set()
    yield from _request(("tickets",), tickets, own | since, tickets.paging, since)
    if tickets.detail is not None:
        yield from _request(("tickets", "detail"), tickets.detail, own | {"ticket"}, None)
    if tickets.comments is not None:
        paging = tickets.comments.paging if tickets.comments.path else None
        yield from _request(("tickets", "comments"), tickets.comments, own | {"ticket"}, paging)


def _request(
    path: Path,
    call: Request | Comments,
    known: set[str],
    paging: Paging | None,
    needed: Iterable[str] = (),
) -> Iterator[tuple[Path, str]]:
    """Holes that nobody fills, and what has to be asked for but is not."""
    turning = {paging.type} & {"page", "offset", "cursor"} if paging else set[str]()
    template = {"path": call.path or "", "params": call.params, "headers": call.headers, "body": call.body}
    yield from _unknown_holes(path, template, known | turning)
    asked = {name for _, name in holes(template)}
    for name in sorted({*needed, *turning} - asked):
        yield path, f"nothing asks for {{{name}}}: put it into params or body"
    if call.method == "GET" and call.body is not None:
        yield (*path, "body"), "a GET request has no body: write method: POST"


def _unknown_holes(path: Path, template: Any, known: set[str]) -> Iterator[tuple[Path, str]]:
    for place, name in holes(template, path):
        if name not in known:
            yield place, f"nothing fills {{{name}}} here{nearest(name, sorted(known))}"


def _messages(found: Description) -> Iterator[MessageFields]:
    tickets = found.tickets
    for holder in (tickets, tickets.comments if tickets else None, found.push):
        if holder is not None and holder.message is not None:
            yield holder.message
