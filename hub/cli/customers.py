"""`hub customers` and `hub events`: who the customers are, and what they did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import opened
from hub.cli.output import (
    JsonOption,
    counting,
    local,
    one_line,
    plural,
    say,
    show,
    table,
    write_json,
    write_json_list,
)
from hub.cli.paged import CursorOption, LimitOption, Paged
from hub.errors import Invalid

if TYPE_CHECKING:
    from hub.customers.imports import ImportReport
    from hub.customers.queries import CustomerRow, Profile

ERRORS_SHOWN = 20

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file with a header, in UTF-8.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    customers = typer.Typer(help="Customers: import, list, look one up.", no_args_is_help=True)
    customers.command("import")(import_customers)
    customers.command("list")(list_customers)
    customers.command("show")(show_customer)
    app.add_typer(customers, name="customers")
    events = typer.Typer(
        help="What customers did: purchases, returns, visits and more.", no_args_is_help=True
    )
    events.command("import")(import_events)
    app.add_typer(events, name="events")


def import_customers(file: FileArgument, as_json: JsonOption = False) -> None:
    """Make or update customers from a CSV file.

    Columns: `customer_id` (needed), `name`, `email`, `handles` (`network:@name`, several with spaces),
    `phone`, `loyalty_number`, `tier`, `points`, `currency`, `language`, `joined_at`. An empty cell leaves
    what is known.

    Safe to repeat. A row that cannot be used is told with line and column, and the others are taken; the
    exit status is 1 only where no row could be used.
    """
    from hub.customers import imports

    _import(imports.import_customers, file, "customer", as_json)


def import_events(file: FileArgument, as_json: JsonOption = False) -> None:
    """Store what customers did, from a CSV file.

    Columns: `event_id`, `customer` (a customer id, mail address or loyalty number), `kind` (`purchase`,
    `return`, `check_in`, `visit`, `survey_answer`, `points_earned`, `points_burned`), `occurred_at` (all
    needed), `amount`, `currency`, `place`, `items`, `points`.

    Safe to repeat: an `event_id` that is known is left alone. A row that cannot be used is told with line
    and column, and the others are taken; the exit status is 1 only where no row could be used.
    """
    from hub.customers import imports

    _import(imports.import_events, file, "event", as_json)


def _import(run: Callable[..., ImportReport], file: Path, what: str, as_json: bool) -> None:
    from hub.clock import utcnow
    from hub.policies.service import active_policy

    with opened(nudging=True) as hub:
        with hub.database.reading() as session:
            policy = active_policy(session).policy
        try:
            with file.open(encoding="utf-8", newline="") as source, counting(f"{what} rows read") as count:
                report = run(hub.database, source, policy, utcnow(), count)
        except UnicodeDecodeError as error:
            raise Invalid(
                f"{file}: not UTF-8 near byte {error.start}; save it as UTF-8", field="file"
            ) from error
    done = report.created + report.updated + report.unchanged
    if as_json:
        write_json(asdict(report))
    else:
        counts = {"created": report.created, "updated": report.updated, "unchanged": report.unchanged}
        shown = {**counts, "errors": len(report.errors)}
        show(table(tuple(shown), [[f"{number:,}" for number in shown.values()]], right=tuple(shown)))
    if report.errors:
        rows = [(f"{file.name}:{each.line}", each.column or "–", each.message) for each in report.errors]
        say(table(("where", "column", "what is wrong"), rows[:ERRORS_SHOWN]))
        if len(rows) > ERRORS_SHOWN:
            say(f"and {plural(len(rows) - ERRORS_SHOWN, 'more error')}; --json has all of them.")
    elif not done:
        say("The file has no rows.")
    if report.errors and not done:
        raise typer.Exit(1)


def list_customers(
    search: Annotated[str, typer.Argument(metavar="TEXT", help="A part of a name, address or handle.")] = "",
    tier: Annotated[str, typer.Option(help="Only this loyalty tier.")] = "",
    limit: LimitOption = None,
    cursor: CursorOption = "",
    as_json: JsonOption = False,
) -> None:
    """List customers, who spent most in the last 12 months first."""
    from hub.customers.api import to_item
    from hub.customers.queries import Filters, list_customers

    with opened() as hub, hub.database.reading() as session:
        filters = Filters(search, tier)
        pages: Paged[CustomerRow] = Paged(
            lambda at, size: list_customers(session, filters, cursor=at, limit=size), cursor
        )
        rows = pages.rows(limit, as_json)
        if as_json:
            write_json_list(to_item(row).model_dump(mode="json") for row in rows)
        elif found := list(rows):
            columns = ("id", "name", "tier", "spent in 12 months", "open", "last wrote")
            show(table(columns, map(_row_cells, found), right=("id", "spent in 12 months", "open")))
        else:
            say(
                "No customer is like that."
                if search or tier
                else "No customers yet: hub customers import FILE"
            )
        if pages.next_cursor:
            say(f"There are more: hub customers list --cursor {pages.next_cursor}")


def show_customer(
    who: Annotated[
        str, typer.Argument(help="Their id here, customer id, mail address, handle or loyalty number.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show what is known of one customer."""
    from hub.clock import utcnow
    from hub.customers.api import CustomerOut
    from hub.customers.identities import find_customer
    from hub.customers.queries import customer_profile

    with opened() as hub, hub.database.reading() as session:
        profile = customer_profile(session, find_customer(session, who), utcnow())
        if as_json:
            write_json(CustomerOut.model_validate(profile).model_dump(mode="json"))
        else:
            _show_profile(profile)


def _row_cells(row: CustomerRow) -> tuple[str, ...]:
    customer, spend = row.customer, row.spend
    spent = f"{spend.amount:,.2f} {spend.currency}" if spend else "–"
    return (
        str(customer.id),
        one_line(customer.name, 40),
        customer.tier or "–",
        spent,
        str(row.open),
        local(row.last_at),
    )


def _show_profile(profile: Profile) -> None:
    spend = profile.spend
    spent = f"{spend.amount:,.2f} {spend.currency}" if spend else "nothing"
    if spend and spend.percentile is not None:
        spent += f", more than or as much as {spend.percentile:.0f} % of those who buy"
    facts = [
        ("name", profile.name),
        ("customer id", profile.external_id or "–"),
        ("tier", profile.tier or "–"),
        ("points", f"{profile.points:,}" if profile.points is not None else "–"),
        ("since", local(profile.since_at)),
        ("12 months", spent),
    ]
    facts += [
        (each.kind, f"{each.place}:{each.value}" if each.place else each.value) for each in profile.identities
    ]
    show(table((f"customer {profile.id}", ""), facts))
    show("")
    if profile.purchases:
        rows = [
            (
                local(p.at),
                f"{p.amount:,.2f} {p.currency}",
                one_line(p.what, 60),
                "returned" if p.returned else "",
            )
            for p in profile.purchases
        ]
        show(table(("last purchases", "", "", ""), rows))
    else:
        show("No purchases.")
    show("")
    if profile.conversations:
        talks = [
            (f"#{each.id}", each.channel.name, each.status, local(each.last_at), one_line(each.subject, 60))
            for each in profile.conversations
        ]
        show(table(("conversations", "channel", "status", "last wrote", "about"), talks))
    else:
        show("No conversations.")
