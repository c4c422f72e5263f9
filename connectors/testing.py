"""What every connector must do. A connector's test module subclasses `ConnectorContract` and fills in the
hooks.

The fixtures of a connector lie in `fixtures/` beside that module, one file per event, named after the event.
`rejected_<reason>.<suffix>` holds exactly one record that must be rejected for that reason; every other file
holds only records that must be accepted.

It is shipped, so that a connector in a package of its own is held to the same. It needs pytest and
hypothesis, and nothing of the hub imports it. `pytest.register_assert_rewrite("connectors.testing")` in a
`conftest.py` makes its failures show what was compared.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors import connect, connector_names, connector_type
from connectors.base import (
    RULES,
    Annotation,
    Config,
    Connector,
    ConnectorError,
    Identity,
    InboundMessage,
    Item,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    Rejected,
    RetryLater,
    Sent,
)


@dataclass
class Vendor:
    """The other side of `send`: a connector pointed at it, and the idempotency keys that it has taken."""

    connector: Connector
    taken: Callable[[], Sequence[str]]


def reply(key: str = "reply-1") -> OutboundMessage:
    """An agent's answer as the hub hands it over."""
    return OutboundMessage(
        idempotency_key=key,
        text="Your parcel left this morning. Grüße, Ana 🙂",
        author_name="Ana",
        recipient=Identity("handle", "mara", "social"),
        thread_key="thread-9",
        in_reply_to="post-5",
        subject="Re: Where is my parcel?",
        created_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    )


_DONE_BY = {
    "fetch": ("fetch",),
    "push": ("stream", "receive"),
    "backfill": ("backfill",),
    "send": ("send",),
    "idempotent": ("find_sent",),
    "length": ("max_length", "length"),
    "tickets": ("annotate",),
}


class ConnectorContract(ABC):
    """The suite. `config` is a complete configuration; `secrets` are the secret values in it."""

    name: ClassVar[str]
    config: ClassVar[dict[str, Any]]
    secrets: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, events: Sequence[Path], folder: Path) -> list[Item]:
        """Read these events as they would come from the vendor, all at once."""

    @abstractmethod
    def read_bytes(self, raw: bytes, folder: Path) -> list[Item]:
        """Read these bytes as if the vendor had sent them."""

    @abstractmethod
    def pulled(self, folder: Path) -> Connector | None:
        """A connector whose `fetch` brings several batches; None where the vendor only pushes."""

    @abstractmethod
    def vendor(self, folder: Path) -> AbstractContextManager[Vendor]:
        """A vendor that takes replies."""

    @abstractmethod
    def absent_vendor(self, folder: Path) -> Connector:
        """A connector whose vendor cannot take replies now."""

    def reply(self, key: str = "reply-1") -> OutboundMessage:
        """An answer to something that the `vendor` has. One that knows no keys needs other words for each."""
        return reply(key)

    def without_a_way_out(self) -> Connector:
        """A connector with settings by which it has nowhere to reply to."""
        return connect(self.name, {})

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test per fixture, where a test asks for `accepted` or `rejected`."""
        for kind, events in (("accepted", self.accepted_events), ("rejected", self.rejected_events)):
            if kind in metafunc.fixturenames:
                found = events()
                metafunc.parametrize(kind, found, ids=[event.name for event in found])

    @classmethod
    def fixtures(cls) -> Path:
        return Path(inspect.getfile(cls)).parent / "fixtures"

    @classmethod
    def accepted_events(cls) -> list[Path]:
        return sorted(
            path for path in cls.fixtures().glob("*") if not path.name.startswith(("rejected_", "."))
        )

    @classmethod
    def rejected_events(cls) -> list[Path]:
        return sorted(cls.fixtures().glob("rejected_*"))

    def test_is_found_by_its_name(self) -> None:
        assert self.name in connector_names(), (
            f"nobody finds {self.name!r}: name it in connectors/registry.py, or give its package an entry"
            " point in the group cem_hub.connectors and install it (pip install -e .)"
        )
        connector = connect(self.name, self.config)
        assert isinstance(connector, Connector)
        assert type(connector) is connector_type(self.name)
        assert connector.name == self.name
        assert connector.max_length is None or connector.max_length > 0

    def test_readme_explains_every_setting(self) -> None:
        found = connector_type(self.name)
        readme = Path(inspect.getfile(found)).parent / "README.md"
        text = readme.read_text()
        missing = [field for field in found.config_type.model_fields if f"`{field}`" not in text]
        assert not missing, f"{readme} does not explain these settings: write each as `name` in it"

    def test_scorecard_answers_every_rule(self) -> None:
        found = connector_type(self.name)
        assert found.scorecard.keys() == RULES.keys(), "the scorecard answers each of connectors.base.RULES"
        for rule, mark in found.scorecard.items():
            assert mark == "done" or mark.startswith(("todo: ", "exempt: ")), (rule, mark)
        # What a connector leaves as the base has it, it cannot have done.
        for rule, method in _DONE_BY.items():
            if found.scorecard[rule] == "done":
                assert any(getattr(found, each) is not getattr(Connector, each) for each in method), rule

    def test_unknown_settings_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="surely_not_a_setting"):
            connect(self.name, {**self.config, "surely_not_a_setting": 1})

    def test_secrets_are_never_shown(self) -> None:
        config_type = connector_type(self.name).config_type
        config = config_type.model_validate(self.config)
        assert isinstance(config, Config)
        shown = [repr(config), str(config), config.model_dump_json(), repr(connect(self.name, self.config))]
        with pytest.raises(ValidationError) as refused:
            config_type.model_validate({**self.config, "surely_not_a_setting": self.config})
        shown.append(str(refused.value))
        for secret in self.secrets:
            assert not any(secret in text for text in shown)

    def test_has_fixtures(self) -> None:
        assert self.accepted_events(), f"put real events into {self.fixtures()}, one file each"
        assert self.rejected_events(), "put a record that must be rejected there: rejected_<reason>.<suffix>"

    def test_accepted_event(self, accepted: Path, tmp_path: Path) -> None:
        items = self.read([accepted], tmp_path)
        assert items
        # What is said of the thread as a whole comes beside its messages.
        for item in (each for each in items if not isinstance(each, Annotation)):
            assert isinstance(item, InboundMessage), item
            assert item.external_id
            assert item.text.strip() or item.subject or item.attachments
            assert item.sent_at is None or item.sent_at.utcoffset() == timedelta(0)
            assert item.author is None or item.author.identities
            item.text.encode()
        ids = [item.external_id for item in items if isinstance(item, InboundMessage)]
        assert len(set(ids)) == len(ids)

    def test_the_same_event_has_the_same_ids(self, accepted: Path, tmp_path: Path) -> None:
        assert self.read([accepted], tmp_path) == self.read([accepted], tmp_path)

    def test_rejected_event(self, rejected: Path, tmp_path: Path) -> None:
        [bad] = [item for item in self.read([rejected], tmp_path) if isinstance(item, Rejected)]
        assert bad.reason == rejected.stem.removeprefix("rejected_")
        assert bad.raw
        assert bad.where
        assert bad.detail.endswith(".")

    def test_bad_events_do_not_stop_the_rest(self, tmp_path: Path) -> None:
        good, bad = self.accepted_events(), self.rejected_events()
        alone = [item for event in [*bad, *good] for item in self.read([event], tmp_path)]
        together = self.read([*bad, *good], tmp_path)
        assert _sorted(together) == _sorted(alone)

    def test_garbage_raises_nothing_unnamed(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("garbage")
        known = [path.read_bytes() for path in [*self.accepted_events(), *self.rejected_events()]]

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.one_of(st.binary(max_size=300), st.sampled_from(known).flatmap(_damaged)))
        def read(raw: bytes) -> None:
            try:
                items = self.read_bytes(raw, folder)
            except ConnectorError:
                return
            for item in items:
                assert isinstance(item, InboundMessage | Annotation | Rejected)

        read()

    def test_a_cursor_repeats_and_never_skips(self, tmp_path: Path) -> None:
        connector = self.pulled(tmp_path)
        if connector is None:
            assert list(connect(self.name, self.config).fetch(None)) == []
            return
        batches = list(connector.fetch(None))
        everything = [item for batch in batches for item in batch.items]
        assert len(batches) > 2
        seen = 0
        for batch in batches:
            seen += len(batch.items)
            assert batch.cursor is not None
            cursor = json.loads(json.dumps(batch.cursor))
            rest = [item for following in connector.fetch(cursor) for item in following.items]
            assert rest == everything[len(everything) - len(rest) :]
            assert len(everything) - seen <= len(rest) <= len(everything) - seen + len(batch.items)

    def test_the_same_key_is_one_reply(self, tmp_path: Path) -> None:
        with self.vendor(tmp_path) as vendor:
            first, again = vendor.connector.send(self.reply()), vendor.connector.send(self.reply())
            assert first.external_id == again.external_id
            vendor.connector.send(self.reply("reply/../2"))
            assert sorted(vendor.taken()) == ["reply-1", "reply/../2"]

    def test_a_sent_reply_is_found_by_its_key(self, tmp_path: Path) -> None:
        with self.vendor(tmp_path) as vendor:
            sent = vendor.connector.send(self.reply())
            try:
                found = vendor.connector.find_sent(self.reply())
                unknown = vendor.connector.find_sent(self.reply("reply-2"))
            except OutcomeUnknown:
                return
            assert isinstance(found, Sent)
            assert found.external_id == sent.external_id
            assert unknown is None

    def test_a_vendor_that_is_away_is_tried_later(self, tmp_path: Path) -> None:
        with pytest.raises(RetryLater) as told:
            self.absent_vendor(tmp_path).send(self.reply())
        assert str(told.value)

    def test_without_a_way_out_a_reply_is_refused(self) -> None:
        with pytest.raises(Refused):
            self.without_a_way_out().send(self.reply())


def _sorted(items: Sequence[Item]) -> list[tuple[str, bytes]]:
    """What of the items does not depend on where they stood and with whom they came."""
    return sorted(map(_told, items))


def _told(item: Item) -> tuple[str, bytes]:
    if isinstance(item, Rejected):
        return item.reason, item.raw
    if isinstance(item, InboundMessage):
        return "", item.text.encode()
    named = item.thread_key if isinstance(item, Annotation) else item.external_id
    return type(item).__name__, named.encode()


def _damaged(raw: bytes) -> st.SearchStrategy[bytes]:
    """The bytes of a real event, cut, or with something foreign put in."""
    places = st.integers(0, len(raw))
    foreign = st.sampled_from(
        [b"\x00", b"\xff", b'"', b"\n", b"[" * 5000, b"--", b"\\ud800", b",", b"=?x?b?=", b"{}"]
    )
    return st.one_of(
        places.map(lambda end: raw[:end]),
        st.builds(lambda place, put: raw[:place] + put + raw[place:], places, foreign),
    )
