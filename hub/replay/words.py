"""What a replay found of skills, and did not find out, in words for the table and the page."""

from __future__ import annotations

from routing.replay.needs import ANYBODY, NeedGroup
from routing.replay.report import Report, Run

_MOST_REFS = 5


def need_words(group: NeedGroup) -> str:
    """What it takes to answer, and what is enough after a while."""
    if group.relaxed is None or group.relax_seconds is None:
        return group.needs
    return f"{group.needs}; after {group.relax_seconds / 60:g} min {group.relaxed}"


def undue_words(report: Report) -> list[str]:
    """A sentence on what is promised for after the last agent left, if anything is."""
    most = max((run.all.undue for run in report.runs), default=0)
    if not most:
        return []
    owed = "1 conversation is" if most == 1 else f"{most:,} conversations are"
    return [f"{owed} promised an answer for after the last agent leaves; no order is judged by that."]


def nobody_words(run: Run, ref: str) -> list[str]:
    """A sentence for each need of what nobody on duty could ever answer; `ref` is what the numbers are of."""
    if run.nobody and not run.needs:
        return [f"Nobody was on duty after {_conversations(run.nobody)} came."]
    return [
        f"Nobody was on duty after {_conversations(group.nobody)} came that anybody can answer "
        f"{_which(group, ref)}."
        if group.needs == ANYBODY
        else f"Nobody on duty could answer {_conversations(group.nobody)} that {_need(group)} "
        f"{_which(group, ref)}: {_why(group)}."
        for group in run.needs
        if group.nobody
    ]


def _conversations(count: int) -> str:
    return f"{count:,} conversation{'' if count == 1 else 's'}"


def _need(group: NeedGroup) -> str:
    return f"need{'s' if group.nobody == 1 else ''} {need_words(group)}"


def _which(group: NeedGroup, ref: str) -> str:
    refs = ", ".join(str(ref) for ref in group.nobody_refs[:_MOST_REFS])
    return f"({ref}{'' if group.nobody == 1 else 's'} {refs}{', …' if group.nobody > _MOST_REFS else ''})"


def _why(group: NeedGroup) -> str:
    came = "it came" if group.nobody == 1 else "they came"
    if group.agents:
        return f"who can was not on duty after {came}"
    return "no agent can" if group.agents == 0 else f"nobody was on duty after {came}"
