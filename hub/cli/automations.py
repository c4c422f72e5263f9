"""`hub automations`: what happens by itself, what it did, and what it would do."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import opened
from hub.cli.output import JsonOption, local, one_line, safe, say, show, table, write_json_list
from hub.cli.paged import CursorOption, LimitOption, Paged

if TYPE_CHECKING:
    from hub.automations.models import AutomationRun

RESULTS = {"done": "done", "refused": "stopped", "failed": "not all of it"}


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Automations: what happens by itself, as the policy says.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("runs")(runs)
    group.command("try")(try_all)
    app.add_typer(group, name="automations")


def list_all(as_json: JsonOption = False) -> None:
    """List the automations of the policy, with how often each ran in 30 days and its last trouble."""
    from hub.automations.api import automation_out
    from hub.automations.queries import list_automations
    from hub.clock import utcnow

    with opened() as hub, hub.database.reading() as session:
        found = [automation_out(each) for each in list_automations(session, utcnow())]
    if as_json:
        write_json_list(each.model_dump(mode="json") for each in found)
    elif not found:
        say("The policy has no automations: write them under `automations`, then `hub policy use FILE`.")
    else:
        rows = [
            (
                safe(each.name),
                each.asked,
                one_line(each.when or "", 60),
                one_line("; ".join(each.do), 80),
                f"{each.ran:,}",
                local(each.last_ran_at) if each.last_ran_at else "",
                one_line(each.last_trouble or "", 60),
            )
            for each in found
        ]
        show(table(("name", "asked", "when", "does", "ran", "last", "last trouble"), rows, right=("ran",)))


def runs(
    automation: Annotated[str, typer.Option(help="Only this automation.")] = "",
    conversation: Annotated[int | None, typer.Option(min=1, help="Only in this conversation.")] = None,
    trouble: Annotated[
        bool, typer.Option("--trouble", help="Only what was stopped or could not be done.")
    ] = False,
    limit: LimitOption = None,
    cursor: CursorOption = "",
    as_json: JsonOption = False,
) -> None:
    """List what automations did, the newest first."""
    from hub.automations.api import run_out
    from hub.automations.queries import cause_of, list_runs, trouble_of

    with opened() as hub, hub.database.reading() as session:
        pages: Paged[AutomationRun] = Paged(
            lambda at, size: list_runs(
                session,
                automation=automation,
                conversation_id=conversation,
                trouble=trouble,
                cursor=at,
                limit=size,
            ),
            cursor,
        )
        found = pages.rows(limit, as_json)
        if as_json:
            write_json_list(run_out(each).model_dump(mode="json") for each in found)
            return
        rows = [
            (
                local(each.ran_at),
                f"#{each.conversation_id}",
                safe(each.automation),
                safe(cause_of(each)),
                RESULTS[each.result],
                one_line(trouble_of(each) or "; ".join(did["what"] for did in each.actions), 100),
            )
            for each in found
        ]
    if rows:
        show(table(("at", "", "automation", "because of", "", "what"), rows))
    else:
        say("Nothing of that kind ran.")
    if pages.next_cursor:
        say(f"There are more: --cursor {pages.next_cursor}")


def try_all(
    conversation: Annotated[int, typer.Option(min=1, help="The number of the conversation.")],
    policy: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Those of this file, not of the policy that rules."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each automation would do in a conversation, were it asked now. Changes nothing.

    Each is asked for itself, at each event that it waits for, or as if its time had come.
    """
    from hub.automations.trying import try_automations
    from hub.clock import utcnow
    from hub.policies.service import ActivePolicy, active_policy
    from routing.policy import read_policy

    given = read_policy(policy.read_text(encoding="utf-8")) if policy is not None else None
    with opened() as hub, hub.database.session() as session:
        active = active_policy(session)
        if given is not None:
            active = ActivePolicy(active.version_id, given)
        found = try_automations(session, conversation, active, utcnow())
    if as_json:
        write_json_list(asdict(each) for each in found)
        return
    if not found:
        say("The policy has no automations.")
        return
    for each in found:
        words = RESULTS.get(each.result, each.result)
        show(
            f"{each.automation}, on {each.event.replace('_', ' ')}: {words}{f', {each.why}' * bool(each.why)}"
        )
        for action in each.actions:
            why = f": {action['why']}" if action["result"] == "failed" else ""
            show(f"    {action['what']} ({action['result']}{why})")
