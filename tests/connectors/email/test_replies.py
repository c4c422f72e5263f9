"""Replies go out threaded and signed, once; what comes back of them is known again."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.base import (
    Attachment,
    AuthExpired,
    Identity,
    InboundMessage,
    OutboundMessage,
    OutcomeUnknown,
    Refused,
    RetryLater,
    Sent,
    Undelivered,
)
from connectors.email.compose import as_html
from connectors.email.tokens import HEADER
from tests.connectors.email.mailing import ADDRESS, SECRET, email, items_of, mail, running_sink, to_lmtp
from tests.servers import free_port
from tests.servers.dovecot import PASSWORD, Dovecot, dovecot_server
from tests.servers.proxy import proxy_before

REPLY = OutboundMessage(
    idempotency_key="reply-1",
    text="It left this morning.\n\nSee https://acme.example/p?a=1&b=2.\nAna <3",
    author_name="Ana Öst",
    recipient=Identity("email", "mara@example.com"),
    in_reply_to="question@example.com",
    subject="Where is my parcel?",
    created_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    answered={"message_id": "question@example.com", "references": ["zero@acme.example"]},
)


def test_a_reply_is_a_mail_like_any_other() -> None:
    picture = Attachment("Beleg ü.png", "image/png", 3, content=b"\x89PN")
    with running_sink() as sink:
        sent = sink.connector(brand_name="Acme").send(replace(REPLY, attachments=(picture,)))
    [found] = sink.taken
    assert found["From"] == "Ana Öst (Acme) <help@acme.example>" or parseaddr(str(found["From"])) == (
        "Ana Öst (Acme)",
        ADDRESS,
    )
    assert found["To"] == "mara@example.com"
    assert found["Subject"] == "Re: Where is my parcel?"
    assert found["Message-ID"] == f"<{sent.external_id}>"
    assert found["In-Reply-To"] == "<question@example.com>"
    assert found["References"] == "<zero@acme.example> <question@example.com>"
    assert found["Date"].datetime == REPLY.created_at
    assert "Auto-Submitted" not in found
    assert "Reply-To" not in found
    plain, page = found.get_body(("plain",)), found.get_body(("html",))
    assert isinstance(plain, EmailMessage)
    assert isinstance(page, EmailMessage)
    assert plain.get_content().replace("\r\n", "\n").strip() == REPLY.text
    assert '<a href="https://acme.example/p?a=1&amp;b=2">' in page.get_content()
    assert "Ana &lt;3" in page.get_content()
    [attached] = found.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("Beleg ü.png", b"\x89PN")
    assert sink.envelopes == [(ADDRESS, ["mara@example.com"])]


def test_what_no_person_wrote_says_so() -> None:
    with running_sink() as sink:
        for each in (REPLY, replace(REPLY, idempotency_key="automatic-1", automatic=True)):
            sink.connector().send(each)
    assert [found["Auto-Submitted"] for found in sink.taken] == [None, "auto-replied"]


def test_every_try_has_the_same_id_and_every_reply_its_own() -> None:
    with running_sink() as sink:
        connector = sink.connector()
        for key in ("a", "a", "b"):
            connector.send(replace(REPLY, idempotency_key=key))
    first, again, other = (found["Message-ID"] for found in sink.taken)
    assert first == again != other


def test_long_ids_stay_whole() -> None:
    before = [f"{'x' * 120}-{n}@mail.example.com" for n in range(50)]
    with running_sink() as sink:
        sink.connector().send(replace(REPLY, answered={"message_id": before[-1], "references": before[:-1]}))
    found = str(sink.taken[0]["References"]).split()
    assert found == [f"<{each}>" for each in (before[0], *before[-29:])]


def test_nothing_of_a_text_gets_into_the_headers() -> None:
    hostile = replace(REPLY, subject="Hi\r\nBcc: all@example.com", author_name='A"\nBcc: b@c.example\\')
    with running_sink() as sink:
        sink.connector().send(hostile)
    assert "Bcc" not in sink.taken[0]
    assert sink.taken[0]["Subject"] == "Re: Hi Bcc: all@example.com"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"recipient": None}, "no mail address"),
        ({"recipient": Identity("handle", "mara")}, "no mail address"),
        ({"recipient": Identity("email", "a@b.example>, <c@d.example")}, "no mail address"),
        ({"attachments": (Attachment("film.mp4", "video/mp4", 9),)}, "no content"),
    ],
)
def test_what_cannot_be_sent_is_refused(change: dict[str, Any], told: str) -> None:
    with running_sink() as sink, pytest.raises(Refused, match=told):
        sink.connector().send(replace(REPLY, **change))
    assert sink.taken == []


def test_addresses_in_other_letters() -> None:
    with running_sink() as sink:
        connector = sink.connector()
        connector.send(replace(REPLY, recipient=Identity("email", "mara@bücher.example")))
        connector.send(replace(REPLY, recipient=Identity("email", "mära@bücher.example")))
    assert [to for _, [to] in sink.envelopes] == ["mara@xn--bcher-kva.example", "mära@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("stage", "answer", "error", "status"),
    [
        ("MAIL", "451 4.7.1 come back later", RetryLater, 451),
        ("RCPT", "450 4.2.0 greylisted", RetryLater, 450),
        ("RCPT", "550 5.1.1 no such user", Refused, 550),
        ("DATA", "452 4.3.1 disk full", RetryLater, 452),
        ("DATA", "554 5.7.1 looks like spam", Refused, 554),
        ("MAIL", "530 5.7.0 sign in first", AuthExpired, None),
    ],
)
def test_answers_by_their_class(stage: str, answer: str, error: Any, status: int | None) -> None:
    with running_sink() as sink:
        sink.answers[stage] = answer
        with pytest.raises(error, match=re.escape(answer)) as told:
            sink.connector().send(REPLY)
    assert getattr(told.value, "status", None) == status


@pytest.mark.parametrize(
    ("stage", "error"), [("MAIL", RetryLater), ("RCPT", RetryLater), ("DATA", OutcomeUnknown)]
)
def test_a_broken_line_is_unknown_only_after_the_mail(stage: str, error: Any) -> None:
    with running_sink() as sink:
        sink.cut_at = stage
        with pytest.raises(error):
            sink.connector().send(REPLY)


def test_a_line_cut_within_the_mail_is_tried_again() -> None:
    large = Attachment("large.bin", "application/octet-stream", 0, content=b"x" * 3_000_000)
    with running_sink() as sink:
        with proxy_before(sink.port) as line:
            connector = sink.connector(smtp_port=line.port, timeout_seconds=0.5)
            line.cut_up_after = 100_000
            with pytest.raises(RetryLater):
                connector.send(replace(REPLY, attachments=(large,)))
        assert sink.taken == []


def test_signing_in() -> None:
    with running_sink(sign_in=True) as sink:
        sink.connector(smtp_sign_in=True, password=PASSWORD).send(REPLY)
        with pytest.raises(AuthExpired) as told:
            sink.connector(smtp_sign_in=True, password="of last year").send(REPLY)
        assert sink.connector(smtp_sign_in=True, password=PASSWORD).check() == f"sends as {ADDRESS}"
    assert "of last year" not in repr(told.value)
    assert len(sink.taken) == 1


def test_a_mail_larger_than_the_server_takes_is_refused_before_it_leaves() -> None:
    large = Attachment("large.bin", "application/octet-stream", 0, content=b"x" * 30_000)
    with (
        running_sink(data_size_limit=20_000) as sink,
        pytest.raises(Refused, match="the server takes 20,000"),
    ):
        sink.connector().send(replace(REPLY, attachments=(large,)))


def test_nobody_there_is_tried_later() -> None:
    connector = email(smtp_host="127.0.0.1", smtp_port=free_port(), smtp_security="none", smtp_sign_in=False)
    with pytest.raises(RetryLater):
        connector.send(REPLY)


def test_without_a_folder_of_sent_mails_nobody_can_tell() -> None:
    with running_sink() as sink, pytest.raises(OutcomeUnknown, match="sent_folder"):
        sink.connector().find_sent(REPLY)


def test_what_was_sent_is_found_and_not_sent_again(dovecot: Dovecot, user: str) -> None:
    with running_sink() as sink:
        connector = sink.connector(dovecot, user, sent_folder="Sent", append_sent=True)
        assert connector.find_sent(REPLY) is None
        sent = connector.send(REPLY)
        connector.send(REPLY)
        found = connector.find_sent(REPLY)
        assert isinstance(found, Sent)
        assert found.external_id == sent.external_id
        assert connector.find_sent(replace(REPLY, idempotency_key="another")) is None
        connector.close()
    assert len(sink.taken) == 1
    with dovecot.imap(user, "Sent") as imap:
        data = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]
    assert str(data).count("Message-ID") == 1
    assert "Draft" not in str(data)


@pytest.mark.parametrize(
    ("stage", "answer", "found"),
    [("RCPT", "450 later", None), ("DATA", "554 never", None), ("DATA", "", OutcomeUnknown)],
)
def test_after_a_failure_it_knows_whether_it_was_sent(
    dovecot: Dovecot, user: str, stage: str, answer: str, found: Any
) -> None:
    with running_sink() as sink:
        connector = sink.connector(dovecot, user, sent_folder="Sent", append_sent=True)
        if answer:
            sink.answers[stage] = answer
        else:
            sink.cut_at = stage
        with pytest.raises((RetryLater, Refused, OutcomeUnknown)):
            connector.send(REPLY)
        if found is None:
            assert connector.find_sent(REPLY) is None
        else:
            with pytest.raises(found):
                connector.find_sent(REPLY)
        connector.close()


def test_a_crash_between_sending_and_noting_is_unknown() -> None:
    with dovecot_server() as server, running_sink() as sink:
        connector = sink.connector(server, server.new_user(), sent_folder="Sent", append_sent=True)
        sink.then = lambda raw: server.kill()
        assert connector.send(REPLY).external_id
        server.start()
        with pytest.raises(OutcomeUnknown, match="about to be sent"):
            connector.find_sent(REPLY)


def test_without_its_folder_nothing_is_sent() -> None:
    with running_sink() as sink:
        settings: dict[str, Any] = {"imap_host": "127.0.0.1", "imap_port": free_port()}
        settings |= {"imap_security": "none", "user": "x", "password": "y", "sent_folder": "Sent"}
        connector = sink.connector(**settings, append_sent=True)
        with pytest.raises(RetryLater):
            connector.send(REPLY)
        with pytest.raises(OutcomeUnknown):
            connector.find_sent(REPLY)
    assert sink.taken == []


def test_an_answer_finds_its_way_by_the_token(dovecot: Dovecot, user: str) -> None:
    """By LMTP, through a plus-address, even where the customer's program drops all references."""
    with running_sink() as sink:
        connector = sink.connector(dovecot, user, reply_plus=True)
        sent = connector.send(REPLY)
        [(envelope, _)] = sink.envelopes
        reply_to = parseaddr(str(sink.taken[0]["Reply-To"]))[1]
        assert reply_to == envelope != ADDRESS
        answer = mail("Still nothing", message_id="<answer@example.com>").replace(
            ADDRESS.encode(), reply_to.encode()
        )
        _, cursor = items_of(connector.fetch(None)), None
        dovecot.deliver(user, answer)
        [found] = items_of(connector.fetch(cursor))
        connector.close()
    assert isinstance(found, InboundMessage)
    assert found.in_reply_to == (sent.external_id,)


def test_our_own_reply_coming_back_is_our_own(dovecot: Dovecot, user: str) -> None:
    with running_sink() as sink:
        sink.then = to_lmtp(dovecot, user)
        connector = sink.connector(dovecot, user)
        sent = connector.send(REPLY)
        [found] = items_of(connector.fetch(None))
        connector.close()
    assert isinstance(found, InboundMessage)
    assert (found.external_id, found.incoming) == (sent.external_id, False)
    assert sink.taken[0][HEADER]


def test_a_bounce_is_told_of_the_reply_that_caused_it(dovecot: Dovecot, user: str) -> None:
    with running_sink() as sink:
        connector = sink.connector(dovecot, user)
        sent = connector.send(REPLY)
        head = "\r\n".join(f"{name}: {value}" for name, value in sink.taken[0].items())
        dovecot.deliver(user, bounce(head))
        undelivered, note = items_of(connector.fetch(None))
        connector.close()
    assert isinstance(undelivered, Undelivered)
    assert undelivered.external_id == sent.external_id
    assert undelivered.detail == "mara@example.com: 550 5.1.1 no such user"
    assert isinstance(note, InboundMessage)
    assert (note.nature, note.automatic) == ("bounce", True)


def bounce(head: str) -> bytes:
    """A report as Postfix writes it."""
    return (
        "From: MAILER-DAEMON@mx.example (Mail Delivery System)\r\nTo: help@acme.example\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <bounce@mx.example>\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report;"
        ' report-type=delivery-status; boundary="B"\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\n'
        "I'm sorry to have to inform you that your message could not be delivered.\r\n"
        "--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        "Final-Recipient: rfc822; mara@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        f"--B\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n\r\n--B--\r\n"
    ).encode()


def test_html_of_a_text() -> None:
    made = as_html("a & b\nc\n\n\n<script>d</script>\n")
    assert "<p>a &amp; b<br>c</p>\n<p>&lt;script&gt;d&lt;/script&gt;</p>" in made


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "", "smtp_host": "smtp.acme.example"},
        {"append_sent": True},
        {"sent_folder": "Sent"},
        {"reply_plus": True, "reply_secret": None},
        {"password": "two\nlines"},
        {"idle_seconds": 1_800},
        {"oauth_refresh_token": "x"},
    ],
)
def test_settings_that_do_not_belong_together(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as told:
        email(**settings)
    assert SECRET not in str(told.value)
