"""`hub intents`: what messages are read for beside the intents that the model knows by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from hub.cli.opening import load_model, opened
from hub.cli.output import (
    JsonOption,
    is_terminal,
    local,
    one_line,
    plural,
    say,
    show,
    table,
    write,
    write_json,
    write_json_list,
)
from hub.cli.texts import lines_of, open_file
from hub.errors import Invalid

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The intent's name, such as 'Lost luggage'.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Intents of your own, taught by a few example messages.", no_args_is_help=True)
    group.command("teach")(teach)
    group.command("list")(list_intents)
    group.command("show")(show_intent)
    group.command("forget")(forget)
    app.add_typer(group, name="intents")


def teach(
    name: NameArgument,
    examples: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Five or more messages: a line each, or JSON (texts, or objects with `text`); - is stdin.",
        ),
    ] = "-",
    as_json: JsonOption = False,
) -> None:
    """Teach an intent by example messages. It is at work from the next message on, without training.

    Messages as your customers write them serve best, in different words; ten are better than five.
    `hub model use` takes a lesson back, `hub model reanalyse` reads older messages for the intent too.

    `hub intents teach "Lost luggage" --examples luggage.txt`
    """
    from hub.learning.api import taught_out
    from hub.learning.queries import find_intent
    from hub.learning.service import teach as teach_hub

    if examples == "-" and is_terminal():
        say("A message per line; Ctrl-D ends.")
    with open_file(examples) as stream:
        texts = _texts([line for line in lines_of(stream) if line.strip()])
    with opened() as hub:
        load_model(hub)
        version = teach_hub(hub, name, texts, user_id=None).version_id
        with hub.database.reading() as session:
            taught = taught_out(find_intent(session, " ".join(name.split())))
    if as_json:
        write_json({**taught.model_dump(mode="json"), "version": version})
        return
    count = plural(len(taught.examples), "example")
    say(f"{taught.name!r} is taught by {count}: version {version} reads now.")


def list_intents(as_json: JsonOption = False) -> None:
    """List the intents that were taught, and are at work."""
    from hub.learning.api import taught_out
    from hub.learning.queries import intents_at_work

    with opened() as hub, hub.database.reading() as session:
        taught = [taught_out(each) for each in intents_at_work(session)]
    if as_json:
        write_json_list(each.model_dump(mode="json") for each in taught)
    elif not taught:
        say("Nothing was taught yet: hub intents teach NAME --examples FILE")
    else:
        rows = [
            (
                each.name,
                str(len(each.examples)),
                each.by or "–",
                local(each.at),
                one_line(each.examples[0], 60),
            )
            for each in taught
        ]
        show(table(("name", "examples", "taught by", "at", "such as"), rows, right=("examples",)))


def show_intent(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print the examples that an intent was taught by, a line each."""
    from hub.learning.api import taught_out
    from hub.learning.queries import find_intent

    with opened() as hub, hub.database.reading() as session:
        taught = taught_out(find_intent(session, name))
    if as_json:
        write_json(taught.model_dump(mode="json"))
        return
    say(f"{taught.name}, {plural(len(taught.examples), 'example')}, {local(taught.at)}")
    for text in taught.examples:
        write(" ".join(text.split()))


def forget(name: NameArgument, as_json: JsonOption = False) -> None:
    """Read messages for this intent no more. Versions before this one still know it."""
    from hub.learning.service import forget as forget_in_hub

    with opened() as hub:
        load_model(hub)
        version = forget_in_hub(hub, name, user_id=None).version_id
    if as_json:
        write_json({"name": name, "version": version})
    else:
        say(f"{name!r} is forgotten: version {version} reads now.")


def _texts(lines: Sequence[str]) -> list[str]:
    """A text a line, or JSON lines where the first is a JSON text or object."""
    if not lines or lines[0].lstrip()[:1] not in ('"', "{"):
        return list(lines)
    texts = []
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
        except ValueError as error:
            if number == 1 and line.lstrip().startswith('"'):
                # Somebody is quoted.
                return list(lines)
            raise Invalid(f"line {number} is not JSON: {error}", field="examples") from error
        text = value.get("text") if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise Invalid(f"line {number} has no text in `text`", field="examples")
        texts.append(text)
    return texts
