"""`hub replay --tune`: what it found, shown, and written as a proposal that rules nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.cli.output import fail_usage, plural, say, show, stepping, table, write_json
from hub.errors import Invalid

if TYPE_CHECKING:
    from hub.replay.service import Source
    from routing.policy import Policy
    from routing.replay.tuning import Tuning

_HUNDRED = 100.0


def goals_of(given: Sequence[str], policy: Policy) -> dict[str, float]:
    """Goals from `TIER=PERCENT`, by the names that the policy has. Raises: typer.BadParameter."""
    from routing.replay.promising import NO_TIER

    goals: dict[str, float] = {}
    for text in given:
        name, _, percent = text.partition("=")
        tier = NO_TIER if name.strip().casefold() in ("default", NO_TIER) else policy.known_tier(name.strip())
        if tier is None:
            known = ", ".join([*policy.tiers, "default"])
            raise fail_usage(f"--goal {text}: no such tier; the policy has {known}")
        try:
            share = float(percent.strip().removesuffix("%")) / _HUNDRED
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise fail_usage(f"--goal {text}: write a tier and a percentage, such as platinum=95")
        goals[tier] = share
    return goals


def tune_and_tell(
    source: Source,
    name: str,
    text: str,
    goals: Sequence[str],
    seeds: int,
    rounds: int,
    file: Path | None,
    as_json: bool,
) -> None:
    """Search, and say what was found; with `file`, write the changed policy to it."""
    from hub.replay.service import tuned
    from routing.policy import read_policy
    from routing.replay.proposing import diff, proposal

    policy = read_policy(text)
    with stepping() as step:
        found = tuned(source, policy, goals_of(goals, policy), seeds, rounds, step)
    try:
        changed = proposal(text, found.values)
    except ValueError as error:
        raise Invalid(f"{name}: {error}", field="policy") from error
    if file is not None:
        file.write_text(changed, encoding="utf-8")
    difference = diff(text, changed, name)
    if as_json:
        write_json(_json(found, difference))
        return
    _show(found)
    show(difference.rstrip("\n") if difference else "Nothing to change.")
    say(_sure(found))
    if file is not None:
        say(f"{file} holds the proposal; nothing is changed until `hub policy use {file}`.")


def _json(found: Tuning, difference: str) -> dict[str, Any]:
    return {
        "values": _named(found.values),
        "before": asdict(found.before),
        "after": asdict(found.after),
        "gain": asdict(found.gain),
        "sure": found.sure,
        "segments": found.segments,
        "test_segments": found.test_segments,
        "goals": dict(found.goals),
        "trials": [{**asdict(trial), "values": _named(trial.values)} for trial in found.trials],
        "diff": difference,
    }


def _named(values: Mapping[tuple[str, ...], float]) -> dict[str, float]:
    return {".".join(path): value for path, value in values.items()}


def _show(found: Tuning) -> None:
    rows = [
        (
            f"seed {trial.seed}",
            *_pair(trial.trained_before.broken, trial.trained_after.broken),
            *_pair(trial.tested_before.broken, trial.tested_after.broken),
        )
        for trial in found.trials
    ]
    rows.append(("proposal", "", "", *_pair(found.before.broken, found.after.broken)))
    columns = ("value broken", "trained: now", "then", "tested: now", "then ")
    show(table(columns, rows, right=columns[1:]))
    show("")
    tiers = [
        (
            tier,
            f"{found.goals[tier]:.0%}" if tier in found.goals else "",
            *_pair(share, found.after.tiers[tier]),
        )
        for tier, share in found.before.tiers.items()
        if share is not None
    ]
    show(table(("tier", "goal", "in time: now", "then"), tiers, right=("goal", "in time: now", "then")))
    waits = (found.before.longest_seconds, found.after.longest_seconds)
    show("Longest wait: {:,.0f} minutes now, then {:,.0f}.".format(*(seconds / 60 for seconds in waits)))
    show("")


def _pair(before: float | None, after: float | None) -> tuple[str, str]:
    now, then = ("–" if share is None else f"{share:.1%}" for share in (before, after))
    return now, then


def _sure(found: Tuning) -> str:
    gain = found.gain
    seen = plural(found.test_segments, "part")
    if not found.values:
        return "No change of these numbers was found that is worth it."
    if found.test_segments < 2:
        return f"Tested on {seen} of the past only: nobody can say how sure that is."
    points = f"{_HUNDRED * gain.mean:+.2f} ± {_HUNDRED * gain.half_width:.2f} points of value"
    verdict = "better beyond chance" if found.sure else "this may be chance"
    return f"On {seen} of the past that the search never saw: {points} more kept in time (95 %): {verdict}."
