"""Mails of every state become messages or rejects, in bounded time."""

from __future__ import annotations

import base64
import struct
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import InboundMessage, Rejected
from connectors.mime import parse_mail
from connectors.mime_parts import PGP_NOTE, SMIME_NOTE
from connectors.tnef import files_in

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
FROM = b"From: ida@example.com\nSubject: Hello\n"
SECONDS_AT_MOST = 20


def read(raw: bytes, max_body_bytes: int = 1_000_000, **rules: Any) -> InboundMessage | Rejected:
    return parse_mail(raw, where="mail.eml", now=NOW, max_body_bytes=max_body_bytes, **rules)


def message(raw: bytes, max_body_bytes: int = 1_000_000, **rules: Any) -> InboundMessage:
    found = read(raw, max_body_bytes, **rules)
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


def attachments(*parts: bytes, max_attachment_bytes: int = 1_000) -> list[tuple[str, str, bytes | None]]:
    found = message(FROM + multipart("mixed", *parts), max_attachment_bytes=max_attachment_bytes)
    return [(a.name, a.content_type, a.content) for a in found.attachments]


def test_attachments_carry_what_they_hold_up_to_a_limit() -> None:
    small, large = (
        b"Content-Type: text/csv; name=a.csv\nContent-Transfer-Encoding: base64\n\n" + text
        for text in (b"YSxi", b"YSxi" * 400)
    )
    assert attachments(b"\nhi", small, large) == [("a.csv", "text/csv", b"a,b"), ("a.csv", "text/csv", None)]
    assert attachments(small, max_attachment_bytes=0) == [("a.csv", "text/csv", None)]


def test_an_attachment_of_30_megabytes_is_read() -> None:
    part = b"Content-Type: video/mp4; name=film.mp4\nContent-Transfer-Encoding: base64\n\n"
    raw = FROM + multipart("mixed", b"\nSee the film.", part + base64.encodebytes(bytes(30_000_000)))
    found = message(raw, max_attachment_bytes=30_000_000)
    assert (found.text.strip(), len(found.attachments[0].content or b"")) == ("See the film.", 30_000_000)


def test_a_picture_inside_the_html_is_known_by_its_mark() -> None:
    raw = FROM + multipart(
        "related",
        b"Content-Type: text/html\n\n<img src=cid:a@b>",
        b"Content-Type: image/png\nContent-ID: <a@b>\n\nx",
        b"Content-Type: application/pdf\nContent-ID: <c@d>\n\nx",
    )
    assert [a.content_id for a in message(raw).attachments] == ["a@b", None]


def test_a_mail_within_a_mail_is_a_file() -> None:
    [(name, kind, content)] = attachments(b"Content-Type: message/rfc822\n\nSubject: Hi\n\ntheirs", b"\nmine")
    assert (name, kind) == ("Hi.eml", "message/rfc822")
    assert content is not None
    assert content.startswith(b"Subject: Hi")


def tnef(*attributes: tuple[int, bytes]) -> bytes:
    head = b"\x78\x9f\x3e\x22\x01\x00"
    return head + b"".join(struct.pack("<BII", 2, kind, len(v)) + v + b"\x00\x00" for kind, v in attributes)


WHOLE = tnef(
    (0x69002, b"\x01"), (0x18010, b"list.csv\x00"), (0x6800F, b"a,b"), (0x69002, b""), (0x6800F, b"z")
)


@pytest.mark.parametrize(
    ("raw", "files"),
    [
        (WHOLE, [("list.csv", "text/csv", b"a,b"), ("attachment-2", "application/octet-stream", b"z")]),
        (WHOLE[:-3], [("list.csv", "text/csv", b"a,b")]),
        (b"anything", []),
        (b"", []),
    ],
)
def test_files_are_taken_out_of_a_winmail_dat(raw: bytes, files: list[tuple[str, str, bytes]]) -> None:
    part = b"Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
    found = attachments(b"\nhi", part + base64.b64encode(raw))
    assert found == [("winmail.dat", "application/ms-tnef", raw), *files]


@given(st.binary(max_size=200))
def test_no_winmail_dat_raises(rest: bytes) -> None:
    list(files_in(WHOLE[:10] + rest))


@pytest.mark.parametrize(
    ("calendar", "text"),
    [
        (
            b"METHOD:REQUEST\nSUMMARY:Call\\, at\n  last\n"
            b"DTSTART;TZID=Europe/Berlin:20260304T103000\nLOCATION:R 2",
            "[Invitation: Call, at last, 2026-03-04 10:30 Europe/Berlin, R 2]",
        ),
        (b"METHOD:CANCEL\nSUMMARY:Call\nDTSTART:20260304T103000Z", "[Cancelled: Call, 2026-03-04 10:30 UTC]"),
        (b"SUMMARY:Fair\nDTSTART;VALUE=DATE:20260304", "[Calendar entry: Fair, 2026-03-04]"),
        (
            b"DTSTART:19701025T030000\nSUMMARY:Call\nDTSTART:20260304T103000",
            "[Calendar entry: Call, 2026-03-04 10:30]",
        ),
        (b"BEGIN:VCALENDAR", ""),
    ],
)
def test_an_invitation_without_words_says_what_it_is(calendar: bytes, text: str) -> None:
    part = b"Content-Type: text/calendar\n\n" + calendar
    assert message(FROM + multipart("mixed", part)).text == text
    assert message(FROM + multipart("mixed", b"\nSee you", part)).text == "See you"


@pytest.mark.parametrize(
    ("raw", "note"),
    [
        (
            multipart(
                "encrypted",
                b"Content-Type: application/pgp-encrypted\n\nVersion: 1",
                b"Content-Type: application/octet-stream\n\nx",
            ),
            PGP_NOTE,
        ),
        (b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx", SMIME_NOTE),
        (
            multipart("signed", b"\nsigned words", b"Content-Type: application/pgp-signature\n\nx"),
            "signed words",
        ),
    ],
)
def test_what_is_sealed_says_so(raw: bytes, note: str) -> None:
    found = message(FROM + raw)
    assert found.text == note
    assert found.attachments


def test_a_whole_mail_may_lack_its_end() -> None:
    raw = FROM + multipart("mixed", b"\nhi")[:-7]
    assert message(raw, whole=True).text == "hi"
    assert message(FROM + b"Content-Type: multipart/mixed; boundary=b\n\nhi", whole=True).text == "hi"


def test_a_fingerprint_is_of_the_words_and_not_of_the_way() -> None:
    one = message(b"Received: by a\n" + FROM + b"\nhi\nyou\n").fingerprint
    assert one == message(b"Received: by b\n" + FROM.replace(b"\n", b"\r\n") + b"\r\nhi\r\nyou").fingerprint
    assert one != message(FROM + b"\nhi\nthou\n").fingerprint
    assert one != message(FROM.replace(b"Hello", b"Hallo") + b"\nhi\nyou\n").fingerprint


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
