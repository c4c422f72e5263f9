"""`hub policy versions|diff|back|status`: what ruled when, and how far a change has come."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from hub.cli.opening import opened
from hub.cli.output import JsonOption, local, plural, say, show, table, write_json, write_json_list
from hub.cli.paged import CursorOption, LimitOption, Paged
from hub.errors import Invalid

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from hub.policies.models import PolicyVersion
    from hub.policies.queries import Ruled

_SIGNS = {"same": " ", "added": "+", "removed": "-"}
# Where nobody is named: as the page says it.
_BY = {"built-in": "built in", "file": "from a file", "person": "command line"}
_STYLES = {"added": "green", "removed": "red"}

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="A number, or active or before.")]


def register(group: typer.Typer) -> None:
    """Add the commands to `hub policy`."""
    group.command("versions")(versions)
    group.command("diff")(diff)
    group.command("activate")(activate)
    group.command("back")(back)
    group.command("status")(status)


def versions(limit: LimitOption = None, cursor: CursorOption = "", as_json: JsonOption = False) -> None:
    """List which version of the policy ruled since when, and who let it."""
    from hub.policies.queries import list_activations

    with opened() as hub, hub.database.reading() as session:
        paged = Paged(lambda after, count: list_activations(session, after, count), cursor)
        rows = paged.rows(limit, as_json)
        if as_json:
            write_json_list(_told(each) for each in rows)
            return
        show(
            table(
                ("version", "rules since", "by", ""),
                [
                    (
                        str(each.activation.version_id),
                        local(each.activation.activated_at),
                        each.activation.user.name if each.activation.user else _BY[each.activation.origin],
                        "rules now" if each.active else "",
                    )
                    for each in rows
                ],
            )
        )
    if paged.next_cursor:
        say(f"There are more: --cursor {paged.next_cursor}")


def diff(
    old: VersionArgument = "before", new: VersionArgument = "active", as_json: JsonOption = False
) -> None:
    """Show what changed from one version to another, lines that went and lines that came."""
    from hub.policies.queries import compare

    with opened() as hub, hub.database.reading() as session:
        first, second = _version(session, old), _version(session, new)
        lines = compare(first, second)
        if as_json:
            write_json({"old": first.id, "new": second.id, "lines": [asdict(line) for line in lines]})
            return
        for line in lines:
            if line.kind == "gap":
                show(Text("   …", "dim"))
            else:
                number = line.new if line.new is not None else line.old
                text = f"{number:>5} {_SIGNS[line.kind]} {line.text}"
                show(Text(text, _STYLES.get(line.kind, "")))
        changed = sum(line.kind in _STYLES for line in lines)
        say(f"Version {first.id} to {second.id}: {plural(changed, 'changed line')}.")


def activate(version: VersionArgument, as_json: JsonOption = False) -> None:
    """Let a version that ruled before rule again; it rules after a restart too, until a file changes."""
    from hub.clock import utcnow
    from hub.policies.service import activate_version

    with opened(nudging=True) as hub, hub.database.session() as session:
        made = activate_version(session, _version(session, version).id, utcnow(), None)
    _say_active(made.version_id, as_json)


def back(as_json: JsonOption = False) -> None:
    """Take the last change back: let the version rule that ruled before."""
    from hub.clock import utcnow
    from hub.policies.service import step_back

    with opened(nudging=True) as hub, hub.database.session() as session:
        made = step_back(session, utcnow(), None)
    _say_active(made.version_id, as_json)


def status(as_json: JsonOption = False) -> None:
    """Say which version rules, and how many open conversations are still placed by an earlier one."""
    from hub.policies.queries import replacing

    with opened() as hub, hub.database.reading() as session:
        found = replacing(session)
    if as_json:
        write_json({**asdict(found), "left": found.left})
        return
    show(f"Version {found.version_id} rules since {local(found.since)}.")
    if found.left:
        say(f"{found.placed:,} of {plural(found.open, 'open conversation')} are placed by it.")
    else:
        say(f"All {found.open:,} open conversations are placed by it." if found.open else "None is open.")


def _version(session: Session, name: str) -> PolicyVersion:
    from hub.errors import Conflict
    from hub.policies.service import active_version, find_version, version_before

    if name == "active":
        return active_version(session)
    if name == "before":
        before = version_before(session)
        if before is None:
            raise Conflict("no other version ruled before this one")
        return before
    if not name.isdecimal():
        raise Invalid(f"{name!r} is no version: give its number, active or before", field="version")
    return find_version(session, int(name))


def _told(each: Ruled) -> dict[str, object]:
    activation = each.activation
    return {
        "version": activation.version_id,
        "activated_at": activation.activated_at,
        "origin": activation.origin,
        "by": activation.user.name if activation.user else None,
        "active": each.active,
    }


def _say_active(version_id: int, as_json: bool) -> None:
    if as_json:
        write_json({"version": version_id})
    else:
        say(f"Version {version_id} of the policy rules now.")
