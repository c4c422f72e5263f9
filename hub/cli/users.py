"""`hub users`: who may sign in, and the tokens of programs."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hub.cli.opening import opened
from hub.cli.output import (
    JsonOption,
    fail_usage,
    is_terminal,
    local,
    plural,
    say,
    show,
    table,
    write,
    write_json,
    write_json_list,
)

if TYPE_CHECKING:
    from hub.accounts.models import ApiToken, User

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL")]
StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]
GenerateOption = Annotated[
    bool, typer.Option("--generate", help="Make a password up, and print it this once.")
]
NameOption = Annotated[str, typer.Option("--name", help="What the token is for, such as `crm-sync`.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Who may sign in, and the API tokens of programs.", no_args_is_help=True)
    group.command("list")(list_users)
    group.command("add")(add)
    group.command("abilities")(abilities)
    group.command("password")(password)
    group.command("disable")(disable)
    group.command("enable")(enable)
    group.command("token")(token)
    group.command("revoke")(revoke)
    app.add_typer(group, name="users")


def list_users(as_json: JsonOption = False) -> None:
    """List who may sign in, their teams and skills, and the names of their tokens."""
    from hub.accounts.service import all_users, live_tokens

    with opened() as hub, hub.database.reading() as session:
        tokens = live_tokens(session)
        users = [_user_json(user, tokens.get(user.id, [])) for user in all_users(session)]
    if as_json:
        write_json_list(users)
    elif not users:
        say("Nobody may sign in yet: hub users add EMAIL --name NAME --role admin")
    else:
        columns = ("email", "name", "role", "teams", "skills", "last seen", "tokens", "")
        rows = [
            (
                user["email"],
                user["name"],
                user["role"],
                ", ".join(user["teams"]) or "–",
                ", ".join(f"{name} {level}" for name, level in user["skills"].items()) or "–",
                local(user["seen_at"]),
                ", ".join(each["name"] for each in user["tokens"]) or "–",
                "disabled" if user["disabled_at"] else "away" if user["away"] else "",
            )
            for user in users
        ]
        show(table(columns, rows))


def add(
    email: EmailArgument,
    name: Annotated[str, typer.Option(help="Their name, as customers read it under replies.")],
    role: Annotated[
        Literal["agent", "social", "manager", "admin"], typer.Option(help="What they do here.")
    ] = "agent",
    password_stdin: StdinOption = False,
    generate: GenerateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let somebody sign in; asks for a password of at least 8 characters."""
    from hub.accounts.service import add_user
    from hub.clock import utcnow

    with opened() as hub:
        secret = _password(password_stdin, generate)
        with hub.database.session() as session:
            user = add_user(session, email=email, name=name, role=role, password=secret, now=utcnow())
            shown = _user_json(user, [])
    if as_json:
        write_json({**shown, "password": secret} if generate else shown)
        return
    say(f"{shown['email']} may sign in as {role} on {hub.settings.public_url}.")
    if generate:
        write(secret)


def abilities(
    email: EmailArgument,
    team: Annotated[
        list[str] | None, typer.Option(help="A team that they are of; again for each. `none` for no team.")
    ] = None,
    skill: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LEVEL", help="A skill with its level, 1 to 5; again for each. `none` for no skill."
        ),
    ] = None,
    capacity: Annotated[
        str,
        typer.Option(metavar="UNITS", help="How much they can have in hand; `policy` as the policy says."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Say of which teams somebody is, what they can do, and how much at once. What is not named stays."""
    from hub.accounts.service import find_user
    from hub.assignment.service import set_abilities

    skills = None if skill is None else dict(_level(each) for each in skill if each != "none")
    if capacity and capacity != "policy" and not capacity.isdigit():
        raise fail_usage(f"--capacity {capacity}: a number of units, or policy")
    with opened() as hub, hub.database.session() as session:
        user = find_user(session, email)
        set_abilities(
            session,
            user,
            teams=user.teams if team is None else [each for each in team if each != "none"],
            skills=user.skills if skills is None else skills,
            capacity=user.capacity if not capacity else None if capacity == "policy" else int(capacity),
        )
        shown = _user_json(user, [])
    if as_json:
        write_json(shown)
    else:
        can = [*shown["teams"], *(f"{name} {level}" for name, level in shown["skills"].items())]
        say(f"{shown['email']}: {', '.join(can) or 'no team and no skills'}.")


def _level(given: str) -> tuple[str, int]:
    name, _, level = given.rpartition("=")
    if not name or not level.isdigit():
        raise fail_usage(f"--skill {given}: write a name and a level, such as returns=2")
    return name, int(level)


def password(
    email: EmailArgument,
    password_stdin: StdinOption = False,
    generate: GenerateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give somebody another password."""
    from hub.accounts.service import find_user, set_password

    with opened() as hub:
        with hub.database.reading() as session:
            find_user(session, email)
        secret = _password(password_stdin, generate)
        with hub.database.session() as session:
            user = find_user(session, email)
            set_password(session, user, secret)
            shown = {"email": user.email}
    if as_json:
        write_json({**shown, "password": secret} if generate else shown)
        return
    say(f"{shown['email']} has another password.")
    if generate:
        write(secret)


def disable(email: EmailArgument, as_json: JsonOption = False) -> None:
    """Lock somebody out at once, with all their tokens; what they have goes back to the queue."""
    _set_disabled(email, True, as_json)


def enable(email: EmailArgument, as_json: JsonOption = False) -> None:
    """Let somebody in again who was disabled."""
    _set_disabled(email, False, as_json)


def token(email: EmailArgument, name: NameOption = "cli", as_json: JsonOption = False) -> None:
    """Make an API token that acts as this user. It is printed this once; only its hash is kept."""
    from hub.accounts.service import create_token, find_user
    from hub.clock import utcnow

    with opened() as hub, hub.database.session() as session:
        made = create_token(session, find_user(session, email), name, utcnow())
    if as_json:
        write_json({"email": email, "name": name, "token": made})
    else:
        write(made)
        say("Send it as `Authorization: Bearer …`; it is not shown again.")


def revoke(email: EmailArgument, name: NameOption = "cli", as_json: JsonOption = False) -> None:
    """End a user's tokens of this name."""
    from hub.accounts.service import find_user, revoke_tokens
    from hub.clock import utcnow
    from hub.errors import NotFound

    with opened() as hub, hub.database.session() as session:
        ended = revoke_tokens(session, find_user(session, email), name, utcnow())
        if not ended:
            raise NotFound(f"{email} has no token named {name!r}")
    if as_json:
        write_json({"email": email, "name": name, "revoked": ended})
    else:
        say(f"{plural(ended, 'token')} revoked.")


def _set_disabled(email: str, disabled: bool, as_json: bool) -> None:
    from hub.accounts.service import find_user, set_disabled
    from hub.clock import utcnow

    with opened() as hub, hub.database.session() as session:
        user = find_user(session, email)
        set_disabled(user, disabled, utcnow())
        shown = {"email": user.email, "disabled_at": user.disabled_at}
    if as_json:
        write_json(shown)
    else:
        say(f"{shown['email']} {'may no longer' if disabled else 'may'} sign in.")


def _password(from_stdin: bool, generate: bool) -> str:
    if from_stdin and generate:
        raise fail_usage("--password-stdin or --generate, not both")
    if generate:
        return secrets.token_urlsafe(12)
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not is_terminal():
        raise fail_usage("nobody can be asked for a password here: --password-stdin or --generate")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked


def _user_json(user: User, tokens: list[ApiToken]) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "teams": user.teams,
        "skills": user.skills,
        "capacity": user.capacity,
        "created_at": user.created_at,
        "seen_at": user.seen_at,
        "away": user.away,
        "disabled_at": user.disabled_at,
        "tokens": [{"name": each.name, "created_at": each.created_at} for each in tokens],
    }
