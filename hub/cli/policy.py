"""`hub policy`: the written rules, checked and put into force."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import policy_versions
from hub.cli.opening import opened, quiet_settings
from hub.cli.output import JsonOption, plural, safe, say, show, table, write, write_json
from hub.errors import Conflict, Invalid
from routing.types import METRICS, Urgency

if TYPE_CHECKING:
    from hub.settings import Settings
    from routing.policy import Policy

SHORTEST_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(
        help="The policy: what is promised to whom, and what weighs how much.", no_args_is_help=True
    )
    group.command("check")(check)
    group.command("show")(show_policy)
    group.command("use")(use)
    policy_versions.register(group)
    app.add_typer(group, name="policy")


def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A policy in YAML; else the one that is configured."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a policy file; nothing is changed.

    Each problem names its line, column and field, and the exit status is 1.
    """
    from hub.policies.service import policy_text

    settings = quiet_settings()
    name = str(file) if file else _name(settings)
    policy = _checked(name, _read(file) if file else policy_text(settings), as_json)
    if as_json:
        write_json({"file": name, "valid": True, "problems": [], **_summary(policy)})
    else:
        _show_summary(policy)
        say(f"{name} is fine.")


def show_policy(as_json: JsonOption = False) -> None:
    """Print the policy that rules now, as it was written."""
    from hub.policies.service import active_policy, active_since

    with opened() as hub, hub.database.reading() as session:
        active = active_since(session)
        version = active.version
        if as_json:
            facts = {"version": version.id, "activated_at": active.activated_at, "source": version.source}
            write_json({**facts, **_summary(active_policy(session).policy)})
        else:
            write(version.source.rstrip("\n"))


def use(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A policy in YAML; else the configured one is read anew."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a policy rule from now on; waiting conversations are placed anew by it within seconds.

    FILE is copied to `policy.yaml` in `HUB_HOME`, so that it rules after a restart too. Every policy that
    ever ruled is kept in the database.
    """
    from hub.clock import utcnow
    from hub.policies.service import activate, policy_text

    settings = quiet_settings()
    if file is not None:
        if settings.policy_file is not None:
            raise Conflict(
                f"HUB_POLICY_FILE says {settings.policy_file}: change that file, then `hub policy use` alone"
            )
        text = _read(file)
        _checked(str(file), text, as_json)
        _put(settings.home / "policy.yaml", text)
    with opened(nudging=True) as hub, hub.database.session() as session:
        active = activate(session, policy_text(hub.settings), utcnow(), origin="file")
    if as_json:
        write_json({"version": active.version_id, **_summary(active.policy)})
    else:
        say(f"Version {active.version_id} of the policy rules now.")


def _checked(name: str, text: str, as_json: bool) -> Policy:
    """The policy in `text`; ends the command with its problems where it has any."""
    from routing.policy import PolicyError, read_policy

    try:
        return read_policy(text)
    except PolicyError as error:
        if as_json:
            write_json({"file": name, "valid": False, "problems": [asdict(each) for each in error.problems]})
        else:
            for each in error.problems:
                place = f"{each.field}: " if each.field else ""
                say(f"{name}:{each.line}:{each.column}: {place}{each.message}")
            say(f"{plural(len(error.problems), 'problem')}.")
        raise typer.Exit(1) from error


def _name(settings: Settings) -> str:
    default = settings.home / "policy.yaml"
    return str(settings.policy_file or (default if default.exists() else "The built-in policy"))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file}: not UTF-8 near byte {error.start}", field="file") from error


def _put(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(f".{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(target)


def _summary(policy: Policy) -> dict[str, Any]:
    return {
        "time_zone": policy.time_zone,
        "currency": policy.currency,
        "tiers": list(policy.tiers),
        "calendars": sorted(policy.calendars),
        "policies": [
            {
                "name": rule.name,
                "when": rule.when.text if rule.when else None,
                "calendar": rule.calendar,
                "targets_seconds": {
                    metric: {tier: _seconds(target) for tier, target in targets.items()}
                    for metric in METRICS
                    if (targets := rule.targets(metric))
                },
            }
            for rule in policy.policies
        ],
    }


def _seconds(target: timedelta | dict[Urgency, timedelta]) -> int | dict[Urgency, int]:
    if isinstance(target, dict):
        return {urgency: int(each.total_seconds()) for urgency, each in target.items()}
    return int(target.total_seconds())


def _show_summary(policy: Policy) -> None:
    shown = [metric for metric in METRICS if any(rule.targets(metric) for rule in policy.policies)]
    rows = [
        (rule.name, rule.calendar, *(_targets(rule.targets(metric)) for metric in shown))
        for rule in policy.policies
    ]
    headings = (metric.removesuffix("_time").replace("_", " ") for metric in shown)
    show(table(("policy", "calendar", *headings), rows))
    tiers = " > ".join(policy.tiers) or "no tiers"
    show(f"{policy.time_zone}, {policy.currency}; {safe(tiers)}")


def _targets(targets: Mapping[str, timedelta | dict[Urgency, timedelta]]) -> str:
    return ", ".join(f"{tier} {_in_words(target)}" for tier, target in targets.items())


def _in_words(target: timedelta | dict[Urgency, timedelta]) -> str:
    if isinstance(target, dict):
        return "/".join(f"{urgency} {_short(each.total_seconds())}" for urgency, each in target.items())
    return _short(target.total_seconds())


def _short(seconds: float) -> str:
    left, parts = int(seconds), []
    for unit, size in SHORTEST_UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts)
