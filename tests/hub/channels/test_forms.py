"""Forms made from settings: each kind has its own field, and is read back as it was meant."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, SecretStr

from connectors.base import Config
from connectors.registry import connector_names, connector_type
from hub.channels.forms import PREFIX, form_of, read_form
from hub.errors import Invalid


class Settings(Config):
    """One of each kind."""

    address: str = Field(description="Where it is.")
    token: SecretStr | None = None
    keys: tuple[SecretStr, ...] = ()
    port: int = 993
    security: Literal["tls", "none"] = "tls"
    words: tuple[str, ...] = ("a", "b")
    map: dict[str, str] = Field(default_factory=dict)
    source: str | dict[str, Any] | None = None
    listens: bool = True
    deep: bool = False


KINDS = {
    "address": "text",
    "token": "secret",
    "keys": "secrets",
    "port": "number",
    "security": "select",
    "words": "lines",
    "map": "json",
    "source": "document",
    "listens": "checkbox",
    "deep": "checkbox",
}


def typed(**fields: str) -> dict[str, str]:
    return {PREFIX + name: text for name, text in fields.items()}


def test_each_setting_has_its_field() -> None:
    fields = {field.name: field for field in form_of(Settings)}
    assert {name: field.kind for name, field in fields.items()} == KINDS
    assert [name for name, field in fields.items() if field.required] == ["address"]
    assert fields["address"].hint == "Where it is."
    assert (fields["words"].value, fields["port"].value) == ("a\nb", "993")
    assert (fields["listens"].checked, fields["deep"].checked) == (True, False)
    assert fields["security"].options == ("tls", "none")


def test_what_is_filled_in_is_read_back() -> None:
    given = typed(
        address=" here ",
        token="s",
        keys="k1 k2",
        port="1",
        words="x y\n\nz",
        map='{"a": "b"}',
        source="a: 1\nb: 2",
        listens="1",
    )
    assert read_form(Settings, given) == {
        "address": "here",
        "token": "s",
        "keys": ["k1", "k2"],
        "port": "1",
        "words": ["x y", "z"],
        "map": {"a": "b"},
        "source": "a: 1\nb: 2",
    }


def test_an_empty_field_takes_a_setting_away_but_no_secret() -> None:
    current = {"address": "here", "token": "s", "port": 1, "deep": True}
    given = typed(address="here", listens="1")
    assert read_form(Settings, given, current) == {"address": "here", "port": None, "deep": False}
    token = next(field for field in form_of(Settings, current) if field.name == "token")
    assert (token.value, token.is_set) == ("", True)


def test_what_is_no_json_is_said_at_its_field() -> None:
    with pytest.raises(Invalid) as told:
        read_form(Settings, typed(address="x", map="{"))
    assert set(told.value.extra["problems"]) == {"map"}


@pytest.mark.parametrize("name", connector_names())
def test_every_connector_has_a_form(name: str) -> None:
    config_type = connector_type(name).config_type
    assert [field.name for field in form_of(config_type)] == list(config_type.model_fields)
