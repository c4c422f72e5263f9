"""The objects of X, as far as they are read: posts, direct messages, and what comes beside them.

https://docs.x.com/x-api/fundamentals/data-dictionary. Unknown members are left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.fields import BadRecord


class Raw(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)


Id = Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]


class Link(Raw):
    url: str
    expanded_url: str | None = None
    media_key: str | None = None


class Mention(Raw):
    id: str | None = None
    username: str


class Entities(Raw):
    urls: list[Link] = []
    mentions: list[Mention] = []


class Note(Raw):
    text: str
    entities: Entities = Entities()


class Reference(Raw):
    type: str
    id: Id


class Attached(Raw):
    media_keys: list[str] = []


class Withheld(Raw):
    copyright: bool = False
    country_codes: list[str] = []


class Post(Raw):
    id: Id
    text: str
    author_id: Id | None = None
    conversation_id: Id | None = None
    created_at: str | None = None
    in_reply_to_user_id: Id | None = None
    referenced_tweets: list[Reference] = []
    edit_history_tweet_ids: list[Id] = []
    entities: Entities = Entities()
    note_tweet: Note | None = None
    attachments: Attached = Attached()
    withheld: Withheld | None = None
    lang: str | None = None

    @property
    def first_id(self) -> str:
        """The id under which it was first published: each edit has one of its own."""
        return self.edit_history_tweet_ids[0] if self.edit_history_tweet_ids else self.id

    @property
    def latest_id(self) -> str:
        """The id of what it says now."""
        return self.edit_history_tweet_ids[-1] if self.edit_history_tweet_ids else self.id


class DirectMessage(Raw):
    id: Id
    event_type: str
    text: str = ""
    sender_id: Id | None = None
    dm_conversation_id: str | None = Field(default=None, pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$")
    created_at: str | None = None
    attachments: Attached = Attached()
    entities: Entities = Entities()
    urls: list[Link] = []


class UserMetrics(Raw):
    followers_count: int | None = Field(default=None, ge=0)


class User(Raw):
    id: Id
    username: str = Field(pattern=r"^[A-Za-z0-9_]{1,50}$")
    name: str = ""
    public_metrics: UserMetrics = UserMetrics()


class Variant(Raw):
    url: str
    content_type: str = ""
    bit_rate: int = 0


class Media(Raw):
    media_key: str
    type: str = "photo"
    url: str | None = None
    preview_image_url: str | None = None
    alt_text: str | None = None
    variants: list[Variant] = []


class Included:
    """What came beside the posts. A part that cannot be read is as if it had not come."""

    def __init__(self, includes: Any) -> None:
        found = includes if isinstance(includes, Mapping) else {}
        self.users = {user.id: user for user in readable(User, found.get("users"))}
        self.media = {media.media_key: media for media in readable(Media, found.get("media"))}


Model = TypeVar("Model", bound=Raw)


def readable(model: type[Model], values: Any) -> list[Model]:
    read = []
    for value in values if isinstance(values, list) else []:
        try:
            read.append(model.model_validate(value))
        except ValidationError:
            continue
    return read


def validated(model: type[Model], value: Any) -> Model:
    """One object. Raises: BadRecord not_an_object, missing_<member>, bad_<member>."""
    if not isinstance(value, dict):
        raise BadRecord("not_an_object", "It is not a JSON object.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(str(part) for part in first["loc"])
        verb = "missing" if first["type"] == "missing" and len(first["loc"]) == 1 else "bad"
        raise BadRecord(f"{verb}_{first['loc'][0]}", f"{member}: {first['msg']}.") from None
