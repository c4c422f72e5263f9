"""`hub forecast`: what is expected to come in, and whom it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hub.cli.opening import opened
from hub.cli.output import JsonOption, local, plural, say, show, table, write_json

if TYPE_CHECKING:
    from hub.staffing.queries import HourView


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("forecast")(forecast)
    app.command("handling")(handling)


def forecast(as_json: JsonOption = False) -> None:
    """Look ahead: who will write in the next two days, how many agents they need, and what will break soon.

    It rests on the last ten weeks, and takes one at least. With `--json`: what `GET /api/v1/reports/staffing`
    gives.
    """
    from hub.clock import utcnow
    from hub.staffing.api import staffing_out
    from hub.staffing.queries import foreseen
    from hub.staffing.service import foresee

    with opened() as hub:
        foresee(hub)
        with hub.database.reading() as session:
            found = foreseen(session, utcnow())
    if as_json:
        write_json(staffing_out(found).model_dump(mode="json"))
        return
    assert found is not None
    if found.hours:
        columns = ("hour", "expected", "four of five", "by Erlang", "agents needed")
        show(table(columns, map(_cells, found.hours), right=columns[1:]))
    else:
        say(f"There are {plural(found.history_hours // 24, 'day')} of history: it takes a week.")
    seen = found.outlook
    if seen is not None and seen.breaking >= 1:
        late = f"{seen.breaking:.0f} of {seen.due:.0f} promises until {local(seen.until)} will break"
        say(f"With {plural(seen.agents, 'agent')} on duty {late}; it takes {seen.agents_needed}.")
    elif seen is not None:
        say(f"Promises will be kept until {local(seen.until)}.")


def handling(as_json: JsonOption = False) -> None:
    """Show how long agents work on an answer, by intent: what the policy says, and what was learnt.

    With `--json`: what `GET /api/v1/reports/handling` gives.
    """
    from hub.staffing.api import handling_out

    with opened() as hub, hub.database.reading() as session:
        found = handling_out(session)
    if as_json:
        write_json(found.model_dump(mode="json"))
        return
    columns = ("intent", "policy", "expected", "cases")
    rows = (
        (
            each.intent or "none known",
            f"{each.policy_seconds:,.0f} s",
            f"{each.expected_seconds:,.0f} s",
            f"{each.cases:,}",
        )
        for each in found.intents
    )
    show(table(columns, rows, right=columns[1:]))
    if not found.learn:
        say("The policy says handling.learn: false, so that only its own numbers count.")


def _cells(hour: HourView) -> tuple[str, ...]:
    return (
        local(hour.starts_at),
        f"{hour.expected:.1f}",
        f"{hour.low} to {hour.high}",
        str(hour.erlang),
        str(hour.needed),
    )
