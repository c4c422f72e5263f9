"""Nothing that arrives breaks the model, keeps it busy without end, or makes it speak where nobody did."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment import SENTIMENTS, Analysis, Scorer
from sentiment.language import MAX_CHARS as MAX_LANGUAGE_CHARS
from sentiment.language import identify
from sentiment.pieces import MAX_WINDOWS, WINDOW, Pieces
from sentiment.text import MAX_CHARS, clean, is_blank, letters, spell_out

MEGABYTE = 1_000_000
BYTES = random.Random(7).randbytes(3_000)
BASE64 = base64.b64encode(BYTES).decode()
ODD = (
    "\u0000\x1b\ud800\udfff\u202e\u2066\u200b\u200d\ufeff\ufffe\u0301\u0e49"
    "\U0001f469\U0001f3fd\ufe0f\U0001f1e6\U000e0041"
)


def lines(text: str, width: int) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def dump(data: bytes) -> str:
    """As `xxd` writes it."""
    return "\n".join(
        f"{at:08x}: {data[at : at + 16].hex(' ', 2)}  "
        + "".join(chr(byte) if 33 <= byte < 127 else "." for byte in data[at : at + 16])
        for at in range(0, len(data), 16)
    )


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Any Unicode, surrogates too, and much of what hurts: marks by the hundred, unseen and broken signs."""
    parts = draw(st.lists(st.one_of(st.text(st.characters(), max_size=60), st.sampled_from(ODD)), max_size=6))
    times = draw(st.lists(st.sampled_from([1, 1, 2, 300]), min_size=len(parts), max_size=len(parts)))
    return "".join(part * count for part, count in zip(parts, times, strict=True))


def shares(analysis: Analysis) -> list[float]:
    found = [analysis.language_confidence, analysis.sentiment.confidence, *analysis.sentiment.scores.values()]
    found += [intent.confidence for intent in analysis.intents]
    found += [taught.confidence for taught in analysis.taught]
    found += [each for each in (analysis.sarcasm, analysis.expects_reply) if each is not None]
    return found + ([analysis.emotion.confidence] if analysis.emotion else [])


def is_whole(analysis: Analysis) -> None:
    assert all(math.isfinite(share) and 0 <= share <= 1 for share in shares(analysis))
    assert math.isfinite(analysis.sentiment.score)
    assert math.fsum(analysis.sentiment.scores.values()) == pytest.approx(1, abs=1e-5)
    if analysis.sentiment.label is None:
        assert any(reason.startswith("sentiment: ") for reason in analysis.abstained)
    if not analysis.intents:
        assert any(reason.startswith("intents: ") for reason in analysis.abstained)
    if analysis.embedding is not None:
        assert all(map(math.isfinite, analysis.embedding.tolist()))


def is_silent(analysis: Analysis) -> bool:
    heads = (analysis.sentiment.label, analysis.emotion, analysis.sarcasm, analysis.expects_reply)
    return heads == (None,) * 4 and not analysis.intents and analysis.embedding is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts(), min_size=1, max_size=3))
def test_any_text_is_read_alone_as_in_company(scorer: Scorer, texts: list[str]) -> None:
    together = scorer.score([*texts, "Where is my parcel?"])
    again = scorer.score([*texts, "Where is my parcel?"])
    assert [shares(each) for each in together] == [shares(each) for each in again]
    for text, found in zip(texts, together, strict=False):
        is_whole(found)
        [alone] = scorer.score([text])
        assert (alone.language, is_silent(alone)) == (found.language, is_silent(found))
        assert list(alone.sentiment.scores.values()) == pytest.approx(
            list(found.sentiment.scores.values()), abs=1e-4
        )


@given(texts())
def test_cleaning_any_text_ends_where_it_began(text: str) -> None:
    cleaned = clean(text)
    assert clean(text) == cleaned
    assert not {"\x00", "\ud800", "\u202e", "\u2066", "\ufeff"} & set(cleaned)
    cleaned.encode("utf-8")
    assert len(letters(cleaned)) <= len(cleaned)
    assert is_blank(clean("")) is True
    assert identify(cleaned).confidence <= 1


HUGE: dict[str, Callable[[], str]] = {
    "one word": lambda: "bad " * 100_000,
    "handles": lambda: " ".join(f"@customer{i}" for i in range(100_000)),
    "links": lambda: " ".join(f"https://x.example/{i}" for i in range(50_000)),
    "a letter": lambda: "x" * MEGABYTE,
    "marks": lambda: "e" + "\u0301" * MEGABYTE,
    "stacked words": lambda: ("late" + "\u0336" * 50) * 20_000,
    "nothing seen": lambda: "\u200b\u200d\ufeff\u00ad" * (MEGABYTE // 4),
    "right to left": lambda: "\u202eمرحبا " * (MEGABYTE // 7),
    "faces": lambda: "👩🏽‍💻" * (MEGABYTE // 4),
    "flags": lambda: "🇩🇪" * (MEGABYTE // 2),
    "longest name": lambda: "\ufdfa" * MEGABYTE,
    "nul": lambda: "\x00" * MEGABYTE,
    "surrogates": lambda: "\ud83d" * MEGABYTE,
    "entities": lambda: "&amp;" * (MEGABYTE // 5),
    "names of signs": lambda: "🕴" * MEGABYTE,
    "base64": lambda: base64.b64encode(BYTES * 250).decode(),
    "json": lambda: json.dumps([{"id": i, "state": "open", "tags": ["a"]} for i in range(20_000)]),
    "html": lambda: "<td class=a><p>" * 70_000,
    "log": lambda: "2026-11-22T00:00:01Z ERROR com.example.Db - timeout after 3000 ms\n" * 15_000,
    "no spaces": lambda: "這是我遇過最差的服務" * (MEGABYTE // 10),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_megabyte_is_bounded_work(scorer: Scorer, name: str) -> None:
    """Counted where the time goes: characters that are looked at, and word pieces in the one pass."""
    text = HUGE[name]()
    cleaned = clean(text)
    assert len(cleaned) <= MAX_CHARS
    assert len(spell_out(cleaned)) <= 50 * MAX_CHARS
    windows, owners = Pieces().windows([cleaned])
    assert owners == [0] * len(windows)
    assert sum(map(len, windows)) <= (WINDOW + 2) * MAX_WINDOWS
    assert identify(cleaned).words <= MAX_LANGUAGE_CHARS
    [analysis] = scorer.score([text])
    is_whole(analysis)


NOBODY_WROTE = {
    "nothing": "",
    "nul": "\x00\x00",
    "unseen": "\u200b\u200d\ufeff\u202e",
    "lone surrogate": "\udc80",
    "signs": "?!... -- ** ~~",
    "handles": " ".join(f"@customer{i}" for i in range(300)),
    "links": "https://x.example/a https://x.example/b",
    "base64": lines(BASE64, 76),
    "base64 in short lines": lines(BASE64, 20),
    "letters of base64": "".join(filter(str.isalpha, BASE64))[:900],
    "hex": BYTES.hex(),
    "hex in pairs": BYTES[:400].hex(" "),
    "hex in capitals": BYTES[:400].hex(":").upper(),
    "hex dump": dump(BYTES[:800]),
    "bits": " ".join(f"{byte:08b}" for byte in BYTES[:60]),
    "digits": " ".join(str(byte) for byte in BYTES[:200]),
    "percent": "".join(f"%{byte:02X}" for byte in BYTES[:200]),
    "pgp message": f"-----BEGIN PGP MESSAGE-----\n\n{lines(BASE64, 64)}\n-----END PGP MESSAGE-----",
    "pgp signature": f"-----BEGIN PGP SIGNATURE-----\n\n{lines(BASE64[:500], 64)}\n-----END PGP-----",
    "a key held down": "x" * 300 + " 12",
    "json": json.dumps(
        {"id": 8123, "items": [{"sku": "AB-1", "qty": 2, "ok": False}] * 6}, separators=(",", ":")
    ),
    "html": "<html><head><style>body{margin:0}.a{color:#fff}</style></head><table><tr><td class=a></td></tr>",
    "css": "body{margin:0;padding:0}.a{color:#fff;display:none}.b{width:100%!important}",
    "one word again and again": "bad " * 10_000,
}


@pytest.mark.parametrize("name", NOBODY_WROTE)
def test_it_is_silent_where_nobody_wrote(scorer: Scorer, name: str) -> None:
    [analysis] = scorer.score([NOBODY_WROTE[name]])
    assert is_silent(analysis)
    assert {reason.partition(": ")[0] for reason in analysis.abstained} >= {"sentiment", "intents"}
    assert all(len(reason) > 12 for reason in analysis.abstained)


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "ok",
        "😡",
        "no!",
        "AB12CD34",
        "DE89 3704 0044 0532 0130 00",
        "4929 1234 5678 9012, 09/28, 123",
        "Please help, this is what I see: " + BASE64[:800],
        "The screen fills with this and I am tired of it:\n" + dump(BYTES[:320]),
        "why why why " + "x" * 80,
        "I cannot open this file " + "%20" * 60,
        "AAAAARGH!!!",
        "#WorstServiceInTheWholeWideWorldAndBeyondIt",
    ],
)
def test_it_reads_where_somebody_did(scorer: Scorer, text: str) -> None:
    [analysis] = scorer.score([text])
    assert not is_silent(analysis)
    assert all(score > 0 for score in analysis.sentiment.scores.values())
    assert tuple(analysis.sentiment.scores) == SENTIMENTS
    assert analysis.embedding is not None
