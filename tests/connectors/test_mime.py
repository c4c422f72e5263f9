"""Mails of every state become messages or rejects, in bounded time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import InboundMessage, Rejected
from connectors.mime import parse_mail

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
FROM = b"From: ida@example.com\nSubject: Hello\n"
SECONDS_AT_MOST = 20


def read(raw: bytes, max_body_bytes: int = 1_000_000) -> InboundMessage | Rejected:
    return parse_mail(raw, where="mail.eml", now=NOW, max_body_bytes=max_body_bytes)


def message(raw: bytes, max_body_bytes: int = 1_000_000) -> InboundMessage:
    found = read(raw, max_body_bytes)
    assert isinstance(found, InboundMessage), found
    return found


def multipart(kind: str, *parts: bytes, boundary: str = "b") -> bytes:
    mark = boundary.encode()
    body = b"".join(b"--" + mark + b"\n" + part + b"\n" for part in parts)
    return b'Content-Type: multipart/%s; boundary="%s"\n\n%s--%s--\n' % (kind.encode(), mark, body, mark)


def nested(depth: int) -> bytes:
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)
    )
    closing = b"".join(b"--b%d--\n" % n for n in reversed(range(depth)))
    return FROM + opening + b"\ndeep inside\n" + closing


def test_a_usual_mail() -> None:
    mail = EmailMessage()
    mail["From"] = "Ida Öst <Ida@Example.com>"
    mail["Subject"] = "Où est ma commande ?"
    mail["Date"] = "Mon, 02 Mar 2026 07:45:10 +0100"
    mail["Message-ID"] = "<one@example.com>"
    mail["In-Reply-To"] = "<zero@shop.example>"
    mail["References"] = "<first@example.com> <zero@shop.example>"
    mail.set_content("Bonjour,\nrien reçu.\n")
    mail.add_alternative("<p>Bonjour,<br>rien reçu.</p>", subtype="html")
    mail.add_attachment(b"12345", maintype="image", subtype="png", filename="écran.png")
    found = message(mail.as_bytes())
    assert found.external_id == "one@example.com"
    assert found.text == "Bonjour,\nrien reçu."
    assert found.html == "<p>Bonjour,<br>rien reçu.</p>\n"
    assert found.subject == "Où est ma commande ?"
    assert found.sent_at == datetime(2026, 3, 2, 6, 45, 10, tzinfo=UTC)
    assert found.in_reply_to == ("zero@shop.example", "first@example.com")
    assert found.author is not None
    assert found.author.name == "Ida Öst"
    assert [(i.kind, i.value) for i in found.author.identities] == [("email", "ida@example.com")]
    assert [(a.name, a.content_type, a.size_bytes) for a in found.attachments] == [
        ("écran.png", "image/png", 5)
    ]
    assert found.thread_key is None
    assert found.incoming
    assert not found.automatic


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(FROM + b"\nplain\r\nlines\r\n", "plain\nlines\n", id="line ends"),
        pytest.param(b"From: a@b.example\rSubject: x\r\rold", "old", id="lone carriage returns"),
        pytest.param(
            FROM + b"Content-Type: text/plain; charset=x-unknown\n\ncaf\xc3\xa9", "café", id="unknown, UTF-8"
        ),
        pytest.param(
            FROM + b"Content-Type: text/plain; charset=x-unknown\n\ncaf\xe9", "café", id="unknown, 1252"
        ),
        pytest.param(
            FROM + b"Content-Type: text/plain; charset=utf-8\n\ncaf\xe9", "café", id="wrong charset"
        ),
        pytest.param(
            FROM + b'Content-Type: text/plain; charset="a\x00b"\n\nhi', "hi", id="charset with a NUL"
        ),
        pytest.param(FROM + b"Content-Type: text/plain; charset=rot13\n\nhi", "hi", id="no text encoding"),
        pytest.param(FROM + b"Content-Type: text/plain; charset=utf-7\n\n+2AA-hi", "?hi", id="half a pair"),
        pytest.param(FROM + b"Content-Type: multipart/mixed\n\nno parts", "no parts", id="no boundary"),
        pytest.param(
            FROM + multipart("mixed", b"\none", b"Content-Type: image/png\n\nx", b"\ntwo"),
            "one\n\ntwo",
            id="text around a picture",
        ),
        pytest.param(
            FROM + multipart("alternative", b"\n \n", b"Content-Type: text/html\n\n<p>html</p>"),
            "html",
            id="blank plain part",
        ),
        pytest.param(
            FROM + multipart("mixed", b"Content-Type: message/rfc822\n\nSubject: x\n\ntheirs", b"\nmine"),
            "mine",
            id="a forwarded mail is an attachment",
        ),
        pytest.param(
            FROM + multipart("mixed", multipart("related", b"\ninner", boundary="i").replace(b"--i--", b"")),
            "inner",
            id="an inner part without end",
        ),
        pytest.param(nested(15), "deep inside", id="nested"),
        pytest.param(
            FROM
            + b"Content-Type: text/html\n\n<style>x</style>"
            + b"<p>a &lt;b&gt;&nbsp;c</p><p>d</p><script>e</script>",
            "a <b> c\nd",
            id="html",
        ),
        pytest.param(
            FROM + b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVsbG8=",
            "hello",
            id="base64",
        ),
    ],
)
def test_text(raw: bytes, text: str) -> None:
    assert message(raw).text == text


@pytest.mark.parametrize(
    ("header", "name", "address"),
    [
        (b"From: J\xc3\xbcrgen <j@b.example>", "Jürgen", "j@b.example"),
        (b"From: J\xfcrgen <j@b.example>", "Jürgen", "j@b.example"),
        (b'From: "Last, First" <j@b.example>', "Last, First", "j@b.example"),
        (b"From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>", "Jürgen", "j@b.example"),
        (b"From: <j@b.example", None, "j@b.example"),
        (b"From: J:@ <j@b.example>", None, "j@b.example"),
        (b"From: undisclosed:;\nReply-To: J <j@b.example>", "J", "j@b.example"),
        (b"From: nobody\nSender: j@b.example", None, "j@b.example"),
        (b"From: a@b.example, c@d.example", None, "a@b.example"),
    ],
)
def test_author(header: bytes, name: str | None, address: str) -> None:
    author = message(header + b"\n\nhi").author
    assert author is not None
    assert author.identities[0].value == address
    if name is not None:
        assert author.name == name


@pytest.mark.parametrize(
    ("header", "automatic"),
    [
        (b"", False),
        (b"Auto-Submitted: no\n", False),
        (b"Auto-Submitted: auto-replied; owner-email=x\n", True),
        (b"Auto-Submitted: AUTO-GENERATED\n", True),
        (b"Precedence: bulk\n", True),
        (b"Precedence: first-class\n", False),
    ],
)
def test_automatic(header: bytes, automatic: bool) -> None:
    assert message(header + FROM + b"\nhi").automatic is automatic


def test_a_report_of_delivery_is_automatic() -> None:
    assert message(FROM + multipart("report", b"\nnot delivered")).automatic


@pytest.mark.parametrize("date", [b"", b"Date: whenever\n", b"Date: Mon, 02 Mar 2099 07:45:10 +0100\n"])
def test_a_date_that_says_nothing_stays_open(date: bytes) -> None:
    assert message(date + FROM + b"\nhi").sent_at is None


@pytest.mark.parametrize(
    ("header", "external_id"),
    [
        (b"Message-ID: <a@b>\nMessage-ID: <c@d>\n", "a@b"),
        (b"Message-ID: bare@id\n", "bare@id"),
        (b"Message-ID:\n <folded@id>\n", "folded@id"),
    ],
)
def test_id(header: bytes, external_id: str) -> None:
    assert message(header + FROM + b"\nhi").external_id == external_id


def test_without_an_id_the_content_is_the_id() -> None:
    first, same, other = (message(FROM + b"\n" + text).external_id for text in (b"hi", b"hi", b"ho"))
    assert first == same != other


def test_an_endless_id_is_shortened() -> None:
    assert len(message(b"Message-ID: <" + b"x" * 3_000 + b"@y>\n" + FROM + b"\nhi").external_id) < 100


def test_html_over_the_limit_is_left_out_where_there_is_text() -> None:
    raw = FROM + multipart(
        "alternative", b"\nshort", b"Content-Type: text/html\n\n<p>" + b"x" * 200 + b"</p>"
    )
    found = message(raw, max_body_bytes=100)
    assert (found.text, found.html) == ("short", None)


def test_a_mail_of_pictures_only_is_a_message() -> None:
    found = message(b"From: a@b.example\n" + multipart("mixed", b"Content-Type: image/png\n\nx"))
    assert found.text == ""
    assert [a.name for a in found.attachments] == ["image.png"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"", "missing_author", id="empty"),
        pytest.param(b"Subject: x\n\nhi", "missing_author", id="no From"),
        pytest.param(b"From: Bob\n\nhi", "missing_author", id="no address"),
        pytest.param(b"From: a@b.example\n\n \n", "missing_text", id="nothing said"),
        pytest.param(FROM + b"\na\x00b", "nul_bytes", id="NUL in the text"),
        pytest.param(b"Subject: a\x00b\nFrom: a@b.example\n\nhi", "nul_bytes", id="NUL in the subject"),
        pytest.param(FROM + b"\n" + b"x" * 2_000_000, "body_too_large", id="2 MB"),
        pytest.param(FROM + multipart("mixed", b"\nhi")[:-7], "truncated_mime", id="cut before the end"),
        pytest.param(
            FROM + b"Content-Type: multipart/mixed; boundary=b\n\nhi", "truncated_mime", id="cut early"
        ),
        pytest.param(nested(30), "too_complex", id="too deep"),
        pytest.param(nested(5_000), "too_complex", id="far too deep"),
        pytest.param(
            FROM + b"Content-Type: message/rfc822\n\n" * 5_000 + b"hi", "too_complex", id="mails within mails"
        ),
        pytest.param(FROM + multipart("mixed", *[b"\nhi"] * 2_000), "too_complex", id="too many parts"),
        pytest.param(FROM + b"\n" + b"\n" * 1_100_000, "too_complex", id="too many lines"),
        pytest.param(
            FROM + b"Content-Type: text/html\n\n" + b"<div>" * 100_000, "too_complex", id="too many tags"
        ),
    ],
)
def test_rejected(raw: bytes, reason: str) -> None:
    found = read(raw)
    assert isinstance(found, Rejected)
    assert (found.reason, found.where) == (reason, "mail.eml")
    assert found.raw == raw
    assert found.detail.endswith(".")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(nested(19).replace(b"deep inside", b"\n" * 100_000), id="many lines deep inside"),
        pytest.param(b"X: y\n" * 100_000 + FROM + b"\nhi", id="many headers"),
        pytest.param(b"From: " + b"(" * 500_000 + b"\n\nhi", id="brackets in From"),
        pytest.param(b"From: " + b"a@" * 500_000 + b"\n\nhi", id="signs in From"),
        pytest.param(b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n" + FROM + b"\nhi", id="encoded words"),
        pytest.param(FROM + b"Content-Type: text/plain" + b";" * 1_000_000 + b"\n\nhi", id="parameters"),
        pytest.param(FROM + b"References: " + b"<a@b> " * 100_000 + b"\n\nhi", id="references"),
        pytest.param(FROM + b"Content-Type: text/html\n\n" + b"<div>" * 19_000, id="tags in each other"),
        pytest.param(FROM + b"Content-Type: text/html\n\n" + b" " * 900_000, id="blanks"),
        pytest.param(
            FROM + b"Content-Type: text/plain; charset=punycode\n\n" + b"-" + b"a" * 900_000,
            id="slow charset",
        ),
    ],
)
def test_hostile_mail_takes_bounded_time(raw: bytes) -> None:
    started = time.process_time()
    read(raw)
    assert time.process_time() - started < SECONDS_AT_MOST


PIECES = st.sampled_from(
    [
        b"From: a@b.example\n",
        b"From: ",
        b"Content-Type: multipart/mixed; boundary=b\n",
        b"Content-Type: multipart/alternative; boundary=b\n",
        b"Content-Type: message/rfc822\n",
        b"Content-Type: text/html; charset=",
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: uuencode\n",
        b"Content-Disposition: attachment; filename*0*=utf-8''%ff; filename*1=",
        b"Message-ID: <",
        b"Date: ",
        b"=?utf-8?b?////?=",
        b"\n",
        b"\n\n",
        b"--b\n",
        b"--b--\n",
        b"begin 666 x\n",
        b'"',
        b"<p>",
        b"\x00",
        b"\xff",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=8), max_size=25).map(b"".join))
def test_no_bytes_raise(raw: bytes) -> None:
    found = read(raw)
    if isinstance(found, InboundMessage):
        for text in (found.text, found.subject or "", found.html or "", found.external_id):
            assert "\x00" not in text
            text.encode()
