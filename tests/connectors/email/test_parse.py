"""What a mail means in the brand's mailbox: whose it is, what it answers, what kind it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import InboundMessage, Rejected, Undelivered
from connectors.email import parse
from connectors.email.tokens import HEADER, Tokens, plus_address
from tests.connectors.email.mailing import ADDRESS, SECRET

TOKENS = Tokens("acme.example", [SECRET])
TOKEN = TOKENS.token("reply-1")
OURS = TOKENS.message_id(TOKEN)
FORGED = f"{TOKEN[:-3]}aaa@acme.example"


def read(head: str, text: str = "hi", **rules: Any) -> list[Any]:
    known: dict[str, Any] = {
        "own": frozenset([ADDRESS, "shop@acme.example"]),
        "tokens": TOKENS,
        "own_lists": (),
        "max_body_bytes": 10_000,
        "max_attachment_bytes": 10_000,
        "now": datetime(2026, 3, 4, tzinfo=UTC),
        **rules,
    }
    return list(parse.read(f"{head}\n\n{text}\n".encode(), "INBOX", parse.Rules(**known)))


def message(head: str, text: str = "hi", **rules: Any) -> InboundMessage:
    [found] = read(head, text, **rules)
    assert isinstance(found, InboundMessage), found
    return found


FROM = "From: mara@example.com"


@pytest.mark.parametrize(
    ("head", "nature"),
    [
        ("", None),
        ("Auto-Submitted: no", None),
        ("Auto-Submitted: auto-replied (vacation)", "auto_reply"),
        ("Auto-Submitted: auto-generated", "auto_reply"),
        ("Precedence: auto_reply", "auto_reply"),
        ("X-Auto-Response-Suppress: All", "auto_reply"),
        ("X-Auto-Response-Suppress: DR, OOF, AutoReply", "auto_reply"),
        ("X-Auto-Response-Suppress: DR, RN", None),
        ("X-Autoreply: yes", "auto_reply"),
        ("Return-Path: <>", "auto_reply"),
        ("Return-Path: <mara@example.com>", None),
        ("Content-Type: multipart/report; report-type=disposition-notification; boundary=x", "auto_reply"),
        ("Precedence: bulk", "list"),
        ("List-Id: News <news.lists.example>", "list"),
        ("List-Id: <SUPPORT.acme.example>", None),
        ("List-Id: <support.acme.example>\nAuto-Submitted: auto-replied", "auto_reply"),
        ("List-Unsubscribe: <mailto:x@y.example>", None),
        ("X-Failed-Recipients: joe@example.com", "bounce"),
        ("From: MAILER-DAEMON@mx.example", "bounce"),
        ("X-Loop: help@acme.example", "loop"),
        (f"{HEADER}: {TOKEN}", "loop"),
        (f"{HEADER}: {TOKEN[:-1]}x", None),
    ],
)
def test_nature(head: str, nature: str | None) -> None:
    found = message("\n".join(filter(None, [head, FROM])), own_lists=["support.acme.example"])
    assert (found.nature, found.automatic) == (nature, nature is not None)


@pytest.mark.parametrize(
    ("head", "author", "incoming", "nature"),
    [
        ("From: help@acme.example", "help@acme.example", False, None),
        ("From: shop@acme.example", "shop@acme.example", False, None),
        ("From: help+form@acme.example", "help+form@acme.example", False, None),
        ("From: help@acme.example\nReply-To: mara@example.com", "mara@example.com", True, None),
        ("From: help@acme.example\nReply-To: shop@acme.example", "help@acme.example", False, None),
        ("From: help@acme.example\nAuto-Submitted: auto-replied", "help@acme.example", False, "loop"),
        (f"From: list@l.example\nMessage-ID: <{OURS}>", "list@l.example", False, None),
        (f"From: mara@example.com\nMessage-ID: <{FORGED}>", "mara@example.com", True, None),
    ],
)
def test_whose_it_is(head: str, author: str, incoming: bool, nature: str | None) -> None:
    found = message(head)
    assert found.author is not None
    assert (found.author.identities[0].value, found.incoming, found.nature) == (author, incoming, nature)


@pytest.mark.parametrize(
    ("head", "answers"),
    [
        ("In-Reply-To: <a@b>\nReferences: <c@d> <a@b>", ("a@b", "c@d")),
        (f"In-Reply-To: <a@b>\nReferences: <{OURS}> <a@b>", (OURS, "a@b")),
        (f"To: {plus_address(ADDRESS, TOKEN)}\nIn-Reply-To: <a@b>", (OURS, "a@b")),
        (f"To: x@y.example\nDelivered-To: {plus_address(ADDRESS, TOKEN).upper()}", (OURS,)),
        (f"Cc: Team: Joe <joe@y.example>, {plus_address(ADDRESS, TOKEN)};", (OURS,)),
        (f"In-Reply-To: <{FORGED}>\nReferences: <a@b> <{FORGED}>", ("a@b",)),
        (f"To: {plus_address(ADDRESS, FORGED.split('@')[0])}\nIn-Reply-To: <a@b>", ("a@b",)),
        (f"In-Reply-To: <{TOKEN}@elsewhere.example>", (f"{TOKEN}@elsewhere.example",)),
    ],
)
def test_what_it_answers(head: str, answers: tuple[str, ...]) -> None:
    assert message(f"{FROM}\n{head}").in_reply_to == answers


def test_tokens_of_a_former_secret_are_still_ours() -> None:
    renewed = Tokens("acme.example", ["another secret", SECRET])
    assert renewed.is_ours(OURS)
    assert renewed.token("reply-1") != TOKEN
    assert not Tokens("acme.example", ["another secret"]).is_ours(OURS)
    unsigned = Tokens("acme.example", [])
    assert not unsigned.genuine(unsigned.token("reply-1"))
    assert not unsigned.is_forged(OURS)


@given(st.text())
def test_any_key_makes_a_token_that_fits_an_address(key: str) -> None:
    token = TOKENS.token(key)
    assert TOKENS.genuine(token)
    assert len(plus_address(ADDRESS, token).split("@")[0]) <= 64
    assert TOKENS.among(["x@y.example", plus_address(ADDRESS, token)]) == token


REPORT = """Content-Type: multipart/report; report-type=delivery-status; boundary=B"""


def report(action: str, message_id: str) -> str:
    return (
        "--B\nContent-Type: text/plain\n\nAbout your mail.\n--B\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; joe@example.com\nAction: {action}\n"
        "Status: 5.2.2\nDiagnostic-Code: smtp; 552 mailbox\n  full\n\n"
        f"--B\nContent-Type: message/rfc822\n\nMessage-ID: <{message_id}>\nFrom: x@y.example\n\nhi\n--B--"
    )


def test_a_report_of_failure_names_our_reply() -> None:
    undelivered, note = read(f"From: MAILER-DAEMON@mx.example\n{REPORT}", report("failed", OURS))
    assert undelivered == Undelivered(OURS, "joe@example.com: 552 mailbox full")
    assert note.nature == "bounce"
    assert note.text == "About your mail."


@pytest.mark.parametrize(
    ("action", "message_id"),
    [("delayed", OURS), ("delivered", OURS), ("failed", "somebody@else.example"), ("failed", FORGED)],
)
def test_what_does_not_end_a_reply_of_ours(action: str, message_id: str) -> None:
    assert message(f"From: MAILER-DAEMON@mx.example\n{REPORT}", report(action, message_id)).nature == "bounce"


def test_a_report_without_a_sender_still_tells() -> None:
    undelivered, rejected = read(f"From: <>\n{REPORT}", report("failed", OURS))
    assert isinstance(undelivered, Undelivered)
    assert isinstance(rejected, Rejected)


def test_a_report_in_words_only() -> None:
    text = f"Sorry.\n------ the original:\n> Message-ID: <{OURS}>\n> From: help@acme.example"
    undelivered, note = read("From: MAILER-DAEMON@mx.example\nReturn-Path: <>\nSubject: failure notice", text)
    assert undelivered == Undelivered(OURS, "failure notice")
    assert note.nature == "bounce"


def test_a_report_to_the_address_that_the_reply_left_from() -> None:
    head = f"From: postmaster@mx.example\nTo: {plus_address(ADDRESS, TOKEN)}\n{REPORT}"
    assert read(head, report("failed", "rewritten@mx.example"))[0].external_id == OURS


def test_nobody_but_a_server_says_that_a_reply_did_not_arrive() -> None:
    found = read(FROM, f"Message-ID: <{OURS}>\nIt failed!")
    assert [type(each) for each in found] == [InboundMessage]


def test_hostile_recipients_take_bounded_time() -> None:
    started = time.process_time()
    for sign in ("(", "a", "a@", "<", "+@", '"'):
        message("\n".join([FROM, *(f"To: {sign * 3_900}" for _ in range(200))]))
    assert time.process_time() - started < 10


def test_a_bad_mail_is_placed_by_its_id() -> None:
    [bad] = read("Subject: x\nMessage-ID: <a@b>")
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.where) == ("missing_author", "INBOX, a@b")
