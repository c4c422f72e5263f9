"""What a replay found of skills, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.replay.words import need_words, nobody_words, undue_words
from routing.policy import DEFAULT_POLICY, read_policy
from routing.replay.jobs import Abilities, Staffing
from routing.replay.records import Record
from routing.replay.report import Run, replay
from routing.types import Facts

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULES = """skills: [german]
assignment:
  needs:
    - {name: Mail, when: channel.kind == "mail", skills: {german: 2}}
    - {name: Tickets, when: channel.kind == "ticket", additional_skills: {german: 1}, relax_after: 90s}
"""
SKILLED = DEFAULT_POLICY.replace("assignment:\n", RULES)
GERMAN, PLAIN = Abilities(None, (("german", 2),)), Abilities(None, ())


def run_of(policy: str, *groups: tuple[Abilities, float], kinds: str = "mail social ticket mail") -> Run:
    """Conversations of these kinds, an hour apart; of each group one agent for so many hours."""
    records = [
        Record(ref, NOON + timedelta(hours=ref), Facts("c", kind, "first_reply_time"), 60.0)
        for ref, kind in enumerate(kinds.split(), start=1)
    ]
    shifts = [(able, Staffing.of_shifts([(-600.0, hours * 3600, 1)])) for able, hours in groups]
    return replay(records, Staffing.of_groups(shifts), {"A": read_policy(policy)}).runs[0]


@pytest.mark.parametrize(
    ("policy", "groups", "said"),
    [
        (SKILLED, [(GERMAN, 9)], []),
        (DEFAULT_POLICY, [(PLAIN, 1.5)], ["Nobody was on duty after 2 conversations came."]),
        (
            SKILLED,
            [(PLAIN, 9)],
            ["Nobody on duty could answer 2 conversations that need german 2 (lines 1, 4): no agent can."],
        ),
        (
            SKILLED,
            [(PLAIN, 9), (GERMAN, 1)],
            [
                "Nobody on duty could answer 1 conversation that needs german 2 (line 4): "
                "who can was not on duty after it came."
            ],
        ),
        (
            SKILLED,
            [(GERMAN, 0.5)],
            [
                "Nobody on duty could answer 1 conversation that needs german 2 (line 4): "
                "who can was not on duty after it came.",
                "Nobody was on duty after 1 conversation came that anybody can answer (line 2).",
                "Nobody on duty could answer 1 conversation that needs german 1; after 1.5 min anybody "
                "(line 3): who can was not on duty after it came.",
            ],
        ),
    ],
)
def test_what_nobody_was_there_for(
    policy: str, groups: list[tuple[Abilities, float]], said: list[str]
) -> None:
    assert nobody_words(run_of(policy, *groups), "line") == said


def test_many_are_not_all_named() -> None:
    run = run_of(SKILLED, (PLAIN, 9), kinds="mail " * 7)
    assert nobody_words(run, "conversation") == [
        "Nobody on duty could answer 7 conversations that need german 2 "
        "(conversations 1, 2, 3, 4, 5, …): no agent can."
    ]
    assert [need_words(group) for group in run.needs] == ["german 2"]


@pytest.mark.parametrize(
    ("hours", "said"),
    [(None, []), (6, ["1 conversation is promised"]), (0.1, ["4 conversations are promised"])],
)
def test_what_is_due_after_the_last_agent_leaves(hours: float | None, said: list[str]) -> None:
    records = [
        Record(ref, NOON + timedelta(hours=ref), Facts("c", "social", "first_reply_time"), 60.0)
        for ref in (0, 1, 2, 5)
    ]
    staffing = Staffing.constant(1) if hours is None else Staffing.of_shifts([(0, hours * 3600, 1)])
    report = replay(records, staffing, {"A": read_policy(DEFAULT_POLICY)})
    assert len(undue_words(report)) == len(said)
    assert all(words.startswith(begin) for words, begin in zip(undue_words(report), said, strict=True))
