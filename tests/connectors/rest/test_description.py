"""What is wrong with a description is told with its line, its field and the nearest right name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.rest.connector import RestConfig, load, shipped
from connectors.rest.description import DescriptionError, read_description
from connectors.rest.expressions import Compiled
from connectors.rest.templates import Unfillable, fill, fill_path

GOOD = """\
name: Ours
base_url: https://{domain}.example/api
variables:
  domain: yours
tickets:
  path: /tickets
  params:
    since: "{since}"
    page: "{page}"
  items: tickets
  paging:
    type: page
  since:
    field: changed_at
  id: id
  message:
    id: id
    text: text
    meta:
      queue: queue
reply:
  path: /tickets/{thread}/replies
  body:
    text: "{text}"
    queue: "{answered.queue}"
  id: id
"""


def problems(text: str) -> list[str]:
    with pytest.raises(DescriptionError) as told:
        read_description(text)
    return [str(problem) for problem in told.value.problems]


def test_a_good_one_is_read_as_text_and_as_a_mapping() -> None:
    assert read_description(GOOD).tickets is not None
    assert read_description(yaml.safe_load(GOOD)).name == "Ours"


@pytest.mark.parametrize(
    ("instead", "of", "told"),
    [
        (
            "    txt: text\n",
            "    text: text\n",
            "line 18: tickets.message.txt: unknown name; did you mean text?",
        ),
        ("    type: pgae\n", "    type: page\n", "line 12: tickets.paging.type: must be one of none, page, "),
        (
            "  id: to_strin(id)\n",
            "  id: id\n  message",
            "line 15: tickets.id: JMESPath has no function 'to_strin'",
        ),
        ("  id: 'a['\n", "  id: id\n  message", "line 15: tickets.id: 'a[' is no JMESPath: "),
        (
            "    since: '{sinse}'\n",
            '    since: "{since}"\n',
            "nothing fills {sinse} here; did you mean since?",
        ),
        ("    a: b\n", '    page: "{page}"\n', "line 5: tickets: nothing asks for {page}: put it into "),
        ("    a: b\n", '    since: "{since}"\n', "line 5: tickets: nothing asks for {since}: put it into "),
        ("{domian}", "{domain}", "line 2: base_url: nothing fills {domian} here; did you mean domain?"),
        (
            "{answered.que}",
            "{answered.queue}",
            "line 25: reply.body.queue: nothing fills {answered.que} here",
        ),
        ("name: Ours\nname: Two\n", "name: Ours\n", "line 2: name: given twice, first on line 1"),
        (
            "headers: {Authorization: Bearer x}\nname: Ours\n",
            "name: Ours\n",
            "Authorization is a secret: leave ",
        ),
        ("name: Ours\nauth: {type: header}\n", "name: Ours\n", "line 2: auth: header needs a name"),
        ("name: [\n", "name: Ours\n", "not YAML: "),
        ("name: *other\n", "name: Ours\n", "not YAML: "),
        ("base_url: ftp://x\n", "base_url: https://{domain}.example/api\n", "line 2: base_url: "),
        ("  path: tickets\n", "  path: /tickets\n", "line 6: tickets.path: "),
        ("name: Ours\ntime_zone: Nowhere\n", "name: Ours\n", "'Nowhere' is no IANA time zone"),
        (
            "  body: {a: b}\n  id: id\n  message",
            "  id: id\n  message",
            "a GET request has no body: write method",
        ),
        ("    other: x\n", "    text: text\n", "tickets.message.other: unknown name"),
        ("    subject: x\n", "    text: text\n", "line 16: tickets.message: a message needs text or html"),
        (
            "name: Ours\nfind: {path: /x, id: id, text: t}\n",
            "name: Ours\n",
            "find: needs key, or text and sent_at",
        ),
        ("name: Ours\npush: {tickets: '@'}\n", "name: Ours\n", "line 2: push.signature: is missing"),
        (
            "name: Ours\npush: {tickets: '@', signature: {header: X-S, signed: none}}\n",
            "name: Ours\n",
            "push.signature: signed must hold {body}",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(instead: str, of: str, told: str) -> None:
    assert of in GOOD
    replaced = instead + "  message" if of.endswith("  message") and "message" not in instead else instead
    assert any(told in problem for problem in problems(GOOD.replace(of, replaced))), problems(
        GOOD.replace(of, replaced)
    )


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.integers(0, len(GOOD)).map(lambda end: GOOD[:end] + "\x00: [")))
def test_nothing_but_its_own_error_comes_out(text: str) -> None:
    with pytest.raises(DescriptionError):
        read_description(text)


@pytest.mark.parametrize("name", shipped())
def test_those_that_come_with_the_hub_are_good_and_explained(name: str) -> None:
    assert load(name).name
    assert f"`{name}`" in (Path(load.__code__.co_filename).parent / "README.md").read_text()


def config(**more: Any) -> RestConfig:
    return RestConfig.model_validate({"source": GOOD, "variables": {"domain": "acme"}, **more})


def test_settings_have_to_fit_their_description(tmp_path: Path) -> None:
    assert config().variables == {"domain": "acme"}
    for wrong, told in (
        ({"variables": {}}, "variables: domain is missing: yours"),
        ({"variables": {"domian": "x"}}, "unknown name domian; did you mean domain?"),
        ({"variables": {"domain": "evil.example/x"}}, "domain holds more than letters"),
        ({"source": "freshdsk"}, "did you mean freshdesk?"),
        ({"source": str(tmp_path / "none.yaml")}, "there is no YAML file"),
        ({"source": GOOD.replace("name: Ours", "name: Ours\nauth: {type: bearer}")}, "token is missing"),
    ):
        with pytest.raises(ValidationError, match=told.replace("?", r"\?")):
            config(**wrong)
    file = tmp_path / "ours.yaml"
    file.write_text(GOOD)
    assert config(source=str(file)).source == str(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ValidationError, match="not UTF-8"):
        config(source=str(file))


def test_a_secret_in_a_wrong_place_is_not_repeated() -> None:
    with pytest.raises(DescriptionError) as told:
        read_description(GOOD.replace("name: Ours", "name: Ours\nauth: {type: bearer, token: s3cret}"))
    assert "auth.token: unknown name" in str(told.value)
    assert "s3cret" not in str(told.value)


def test_holes_are_filled_without_breaking_out() -> None:
    values = {"text": 'a"}, {"admin": true', "page": 3, "thread": "7/../8?x#y", "none": None}
    template = {
        "a": "{text}",
        "b": ["{page}", "{none}"],
        "c": "p{page}",
        "d": "{none}",
        "e": "{{page}}",
        "f": None,
    }
    assert fill(template, values) == {"a": values["text"], "b": [3], "c": "p3", "e": "{page}", "f": None}
    assert fill_path("/t/{thread}/r", values) == "/t/7%2F..%2F8%3Fx%23y/r"
    for empty in (None, "", ".", "..", " "):
        with pytest.raises(Unfillable, match="there is no thread"):
            fill_path("/t/{thread}", {"thread": empty})


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (None, False),
        (False, False),
        ("", False),
        ([], False),
        ({}, False),
        (0, True),
        ("no", True),
        (True, True),
    ],
)
def test_truth_is_jmespath_s(found: Any, holds: bool) -> None:
    assert Compiled("a").holds({"a": found}) is holds
    assert (Compiled("a && 'yes'")({"a": found}) == "yes") is holds
