"""A decision is kept in few bytes, and read long after."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.explanations import MOST_BYTES, Explained, from_text, to_text
from routing.types import Priority, Reason

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# As it was written by the first version of the format: it must be read for ever.
KEPT = (
    '{"v":1,"metric":"first_reply_time","policy":"Social","target":900,"due":"2026-11-22T12:15:00+00:00",'
    '"weight":11.2,"reasons":[[8,"Platinum"],[1.4,"negative (0.93 sure)"],[1.0,"no intent"]]}'
)


def priority(policy: str, reasons: tuple[Reason, ...]) -> Priority:
    return Priority("next_reply_time", policy, 900, NOW, NOW, 1.5, reasons, 300)


def test_what_was_kept_is_read_without_any_policy() -> None:
    kept = from_text(KEPT)
    assert kept == Explained(
        "first_reply_time",
        "Social",
        900,
        datetime(2026, 11, 22, 12, 15, tzinfo=UTC),
        11.2,
        (Reason(8, "Platinum"), Reason(1.4, "negative (0.93 sure)"), Reason(1.0, "no intent")),
    )
    assert kept.in_words == "8 Platinum × 1.4 negative (0.93 sure) = 11.2"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", KEPT.replace('"v":1', '"v":9'), KEPT[:-20]])
def test_what_is_no_decision_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"decision|format|JSON|line"):
        from_text(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)


@given(st.text(min_size=1, max_size=40), st.lists(texts, max_size=13))
def test_every_decision_fits(policy: str, said: list[str]) -> None:
    decided = priority(policy, tuple(Reason(1.23456, text) for text in said))
    try:
        policy.encode()
    except UnicodeEncodeError:
        return
    text = to_text(decided)
    assert len(text.encode()) <= MOST_BYTES < 1024
    kept = from_text(text)
    assert (kept.policy, len(kept.reasons)) == (policy, len(said))
    assert all(short.text == full[: len(short.text)] for short, full in zip(kept.reasons, said, strict=True))
