"""Warnings by mail: what stands in one, that it is sent once, tried again, and not where it is no news."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy import select

from hub.accounts.models import User
from hub.conversations.service import get_conversation, reply, take
from hub.policies.service import activate
from hub.runtime import Hub
from hub.settings import Settings
from hub.warnings import mailing
from hub.warnings.mailing import mail_warnings
from hub.warnings.models import PromiseWarning, WarningMail
from hub.warnings.service import give_warnings, mark_read
from routing.policy import DEFAULT_POLICY
from tests.connectors.email.mailing import Sink, running_sink
from tests.factories import NOW, channel, inbound, receive_one, user
from tests.hub.conftest import Clock

POLICY = (
    DEFAULT_POLICY.partition("\nwarnings:")[0]
    + """
warnings:
  - {at: 75%, to: [assignee], metrics: [next_reply_time], hours: office}
  - {at: 75%, to: [assignee], metrics: [first_reply_time]}
  - {at: 10m after, to: [assignee], hours: office}
"""
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The rows are claimed as replies are, which is tried on both."""
    return sqlite_url


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        yield sink


@pytest.fixture
def mailed(hub: Hub, sink: Sink) -> Hub:
    """A hub that sends mails, whose agent waits for a customer since noon, and has two hours."""
    hub.settings = hub.settings.model_copy(
        update={
            "smtp_url": Settings(
                smtp_url=f"smtp+plain://127.0.0.1:{sink.port}", mail_from="a@b.example"
            ).smtp_url,
            "mail_from": "hub@brand.example",
            "public_url": "https://hub.example/",
        }
    )
    with hub.database.session() as session:
        activate(session, POLICY, NOW)
        alex = user(session)
        alex.time_zone = "America/New_York"
        message = receive_one(session, channel(session), inbound(subject="A parcel"))
        take(session, get_conversation(session, message.conversation_id), user=alex, now=NOW)
    return hub


def warn_at(hub: Hub, clock: Clock, minutes: float) -> None:
    """Give what is due by then, and have a minute pass."""
    clock.now = NOW + timedelta(minutes=minutes)
    with hub.database.session() as session:
        give_warnings(session, clock.now)
    clock.advance(minutes=1)


def state(hub: Hub) -> tuple[str, int, str]:
    with hub.database.reading() as session:
        mail = session.scalars(select(WarningMail).order_by(WarningMail.id.desc())).first()
        assert mail is not None
        return mail.state, mail.tries, mail.detail


def test_what_stands_in_it(mailed: Hub, clock: Clock, sink: Sink) -> None:
    warn_at(mailed, clock, 90)
    assert mail_warnings(mailed) == 1
    assert mail_warnings(mailed) == 0
    assert state(mailed) == ("sent", 1, "")
    (mail,) = sink.taken
    assert mail["Subject"] == "29 min left: first reply to Ann"
    assert mail["From"] == "Test brand <hub@brand.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<warning-1-[0-9a-f]{24}@brand\.example>", mail["Message-ID"])
    text = mail.get_content()
    assert "Conversation 1 with Ann, “A parcel” (chirp)." in text
    assert "within 2 h" in text
    # At 13:00 UTC it is eight in the morning there.
    assert "Friday, 20 November 2026, 08:00 (America/New_York), in 29 min" in text
    assert "https://hub.example/conversations/1" in text.splitlines()
    assert sink.envelopes[0][1] == [mail["To"]]


def test_one_that_is_late_says_so(mailed: Hub, clock: Clock, sink: Sink) -> None:
    warn_at(mailed, clock, 130)
    mail_warnings(mailed)
    assert sink.taken[0]["Subject"] == "11 min late: first reply to Ann"


def test_what_is_no_news_any_more_is_not_sent(mailed: Hub, clock: Clock, sink: Sink) -> None:
    warn_at(mailed, clock, 90)
    with mailed.database.session() as session:
        alex = session.scalars(select(User)).one()
        reply(session, get_conversation(session, 1), user=alex, text="Here.", now=clock.now)
    assert mail_warnings(mailed) == 1
    assert (state(mailed)[0], sink.taken) == ("dropped", [])


@pytest.mark.parametrize("what", ["read", "not wanted", "disabled"])
def test_who_has_read_it_or_wants_none_gets_none(mailed: Hub, clock: Clock, sink: Sink, what: str) -> None:
    warn_at(mailed, clock, 90)
    with mailed.database.session() as session:
        alex = session.scalars(select(User)).one()
        if what == "read":
            mark_read(session, alex, None, clock.now)
        elif what == "disabled":
            alex.disabled_at = clock.now
        else:
            alex.warning_mails = False
    mail_warnings(mailed)
    assert (state(mailed)[0], sink.taken) == ("dropped", [])


def test_a_server_that_takes_nothing_now_is_asked_again(mailed: Hub, clock: Clock, sink: Sink) -> None:
    sink.answers["DATA"] = "451 later"
    warn_at(mailed, clock, 90)
    mail_warnings(mailed)
    assert state(mailed)[:2] == ("pending", 1)
    assert "451 later" in state(mailed)[2]
    assert mail_warnings(mailed) == 0
    clock.advance(seconds=10)
    sink.answers.clear()
    assert mail_warnings(mailed) == 1
    assert (state(mailed), len(sink.taken)) == (("sent", 2, ""), 1)


def test_it_gives_up(mailed: Hub, clock: Clock, sink: Sink) -> None:
    sink.answers["RCPT"] = "550 no such person"
    warn_at(mailed, clock, 90)
    mail_warnings(mailed)
    assert state(mailed)[:2] == ("failed", 1)


@pytest.mark.parametrize("stage", ["cut", "killed"])
def test_where_nobody_knows_it_is_not_sent_again(
    mailed: Hub, clock: Clock, sink: Sink, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warn_at(mailed, clock, 90)
    if stage == "cut":
        sink.cut_at = "DATA"
        mail_warnings(mailed)
    else:
        monkeypatch.setattr(mailing, "_send", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            mail_warnings(mailed)
        assert mail_warnings(mailed) == 0
        clock.advance(seconds=mailed.settings.delivery_lease_seconds)
        monkeypatch.undo()
        monkeypatch.setattr(mailing, "utcnow", clock)
        mail_warnings(mailed)
    clock.advance(hours=1)
    assert mail_warnings(mailed) == 0
    assert state(mailed)[:2] == ("unknown", 1)
    assert len(sink.taken) == (stage == "cut")


def test_nobody_is_disturbed_outside_hours(mailed: Hub, clock: Clock, sink: Sink) -> None:
    warn_at(mailed, clock, 130)
    # The server is away until the office in Berlin has closed, at 17:00 on a Friday.
    sink.answers["MAIL"] = "451 later"
    mail_warnings(mailed)
    clock.advance(hours=4)
    assert mail_warnings(mailed) == 1
    assert mail_warnings(mailed) == 0
    assert sink.taken == []
    with mailed.database.reading() as session:
        due_at = session.scalars(select(WarningMail.due_at)).one()
    assert due_at is not None
    assert f"{due_at:%A %H:%M}" == "Monday 08:00"


def test_the_hours_of_another_metric_hold_nothing_back(mailed: Hub, clock: Clock, sink: Sink) -> None:
    warn_at(mailed, clock, 90)
    sink.answers["MAIL"] = "451 later"
    mail_warnings(mailed)
    clock.advance(hours=4)
    sink.answers.clear()
    assert mail_warnings(mailed) == 1
    assert len(sink.taken) == 1


def test_without_a_server_nothing_waits(hub: Hub, clock: Clock, mailed: Hub, sink: Sink) -> None:
    warn_at(mailed, clock, 90)
    mailed.settings = mailed.settings.model_copy(update={"smtp_url": None})
    assert mail_warnings(mailed) == 1
    with mailed.database.reading() as session:
        assert session.scalars(select(WarningMail)).all() == []
        assert len(session.scalars(select(PromiseWarning)).all()) == 1


def test_settings(tmp_path: Path) -> None:
    for url, sender in (("http://host", "a@b.example"), ("smtp://", "a@b.example"), ("smtp://host", "")):
        with pytest.raises(ValidationError):
            Settings(home=tmp_path, smtp_url=url, mail_from=sender)
    settings = Settings(home=tmp_path, smtp_url="smtps://me:p%40ss@host:4650", mail_from="a@b.example")
    config = mailing.smtp_config(settings)
    assert config is not None
    assert config.smtp_password is not None
    assert (config.smtp_place, config.smtp_security) == (("host", 4650), "tls")
    assert (config.smtp_user, config.smtp_password.get_secret_value()) == ("me", "p@ss")


def test_faces(mailed: Hub, clock: Clock, sink: Sink, agent: TestClient, api: TestClient) -> None:
    assert "Stop mails" in agent.get("/warnings").text
    agent.post("/warnings/mails")
    assert "Mail me too" in agent.get("/warnings").text
    agent.post("/warnings/mails", data={"wanted": "true"})
    assert "Stop mails" in agent.get("/warnings").text
    assert api.put("warnings/mails", json={"wanted": False}).json() == {"wanted": False}
    with mailed.database.session() as session:
        me = session.scalars(select(User).order_by(User.id.desc())).first()
        assert me is not None
        conversation = get_conversation(session, 1)
        conversation.owner_id = me.id
        me.warning_mails = True
    sink.answers["RCPT"] = "550 no such person"
    warn_at(mailed, clock, 90)
    mail_warnings(mailed)
    (item,) = api.get("warnings").json()["items"]
    assert item["mail"] == "failed"
