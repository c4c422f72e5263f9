"""The lines of a trace file, one case each."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.replay.records import Reader
from sentiment.types import Intent

AT = "2026-03-01T09:00:00Z"


def reader() -> Reader:
    return Reader(lambda channel: "mail" if channel == "email" else "social")


def test_a_whole_line() -> None:
    line = {
        "arrived_at": "2026-03-01T10:00:00+01:00",
        "channel": "email",
        "handle_seconds": 120.5,
        "customer": {"tier": "gold", "spend_percentile": 97.5, "language": "de-AT", "unheard_of": 1},
        "analysis": {
            "language": {"label": "FR", "confidence": 0.7},
            "sentiment": {"label": "negative", "confidence": 0.93},
            "intents": [{"label": "complaint", "confidence": 0.8}, {"label": "refund_return"}],
        },
    }
    record, notes = reader().read(7, json.dumps(line).encode())
    assert notes == ()
    assert (record.ref, record.arrived_at, record.handle_seconds) == (
        *(7, datetime(2026, 3, 1, 9, tzinfo=UTC)),
        120.5,
    )
    facts, analysis = record.facts, record.facts.analysis
    assert (facts.channel, facts.channel_kind, facts.metric) == ("email", "mail", "first_reply_time")
    assert (facts.tier, facts.spend_percentile, facts.customer_language) == ("gold", 97.5, "de")
    assert analysis is not None
    assert (analysis.language, analysis.language_confidence) == ("fr", 0.7)
    assert (analysis.sentiment.label, analysis.sentiment.confidence) == ("negative", 0.93)
    assert analysis.intents == (Intent("complaint", 0.8), Intent("refund_return", 1.0))


@pytest.mark.parametrize("also", [{}, {"customer": None, "analysis": None, "handle_seconds": None}])
def test_what_is_missing_has_a_default(also: dict[str, Any]) -> None:
    record, notes = reader().read(1, json.dumps({"arrived_at": "2026-03-01T09:00:00", **also}).encode())
    assert record.arrived_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert record.handle_seconds is None
    assert (record.facts.channel, record.facts.channel_kind) == ("unknown", "social")
    assert (record.facts.tier, record.facts.spend_percentile, record.facts.analysis) == (None, None, None)
    assert notes == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{}", "arrived_at: is missing"),
        ("[1]", "the line is to be an object"),
        ("{", "this is no JSON"),
        ('{"arrived_at": 1700000000}', "arrived_at: "),
        ('{"arrived_at": "yesterday"}', "arrived_at: "),
        ('{"arrived_at": "0001-01-01T00:00:00+14:00"}', "arrived_at: the year is not between"),
        (f'{{"arrived_at": "{AT}", "handle_seconds": -1}}', "handle_seconds: "),
        (f'{{"arrived_at": "{AT}", "handle_seconds": 1e400}}', "handle_seconds: "),
        (f'{{"arrived_at": "{AT}", "handle_seconds": "5"}}', "handle_seconds: "),
        (f'{{"arrived_at": "{AT}", "channel": 5}}', "channel: "),
        (f'{{"arrived_at": "{AT}", "customer": {{"spend_percentile": 101}}}}', "customer.spend_percentile: "),
        (f'{{"arrived_at": "{AT}", "customer": []}}', "customer: "),
        (
            f'{{"arrived_at": "{AT}", "analysis": {{"sentiment": {{"confidence": 2}}}}}}',
            "analysis.sentiment.confidence: ",
        ),
    ],
)
def test_what_cannot_be_read_says_why(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        reader().read(1, line.encode())
    assert str(caught.value).startswith(reason)


def test_labels_that_the_model_does_not_have_are_left_out_and_told() -> None:
    line = {
        "arrived_at": AT,
        "analysis": {
            "sentiment": {"label": "grumpy"},
            "intents": [{"label": "Complaint"}, {"label": "sing"}],
        },
    }
    record, notes = reader().read(1, json.dumps(line).encode())
    assert record.facts.analysis is not None
    assert record.facts.analysis.sentiment.label is None
    assert [intent.label for intent in record.facts.analysis.intents] == ["complaint"]
    assert [note.split(":")[0] for note in notes] == ["analysis.sentiment", "analysis.intents"]
    assert "'grumpy'" in notes[0]
    assert "'sing'" in notes[1]


def test_the_same_facts_are_one_object() -> None:
    same = reader()
    first, second = (same.read(n, f'{{"arrived_at": "2026-03-01T09:0{n}:00Z"}}'.encode()) for n in (1, 2))
    assert first[0].facts is second[0].facts


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_nothing_but_a_reason_comes_of_rubbish(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        reader().read(1, line)
