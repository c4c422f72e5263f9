"""What the commands say: results on stdout, words for people on stderr, a known failure in one line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from hub.errors import HubError

FAILED = 1
FILE_WIDTH = 200
_JSON = "hub.json"
# Control characters could drive a terminal, bidirectional marks could show a line as what it is not.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

# json.dumps escapes the others.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def _note_json(context: typer.Context, asked: bool) -> bool:
    # Contexts of a command and its groups share `meta`; an error met later is then told in the same form.
    context.meta[_JSON] = context.meta.get(_JSON, False) or asked
    return asked


JsonOption = Annotated[
    bool,
    typer.Option("--json", callback=_note_json, help="Results as JSON on stdout, and nothing else there."),
]


class HubGroup(TyperGroup):
    """The root of all commands: shows a known error as one line, or with --json as a problem (RFC 9457)."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Exits with 1 where it fails in a known way."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            known = _known(error)
            if known is None:
                raise
            if ctx.meta.get(_JSON):
                problem = {"type": "about:blank", "title": known.title, "status": known.status}
                write_json({**problem, "detail": known.detail, **known.extra})
            else:
                say(Text.assemble(("Error: ", "bold red"), safe(" ".join(known.detail.split()))))
            raise typer.Exit(FAILED) from error


def _known(error: Exception) -> HubError | None:
    """The error as one of ours; None where it is a fault in the hub, which shows its traceback."""
    if isinstance(error, HubError):
        return error
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        name = f"{error.filename}: " if error.filename else ""
        return HubError(f"{name}{error.strerror or error}")
    from pydantic import ValidationError
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    from routing.policy import PolicyError

    if isinstance(error, ValidationError) and error.title == "Settings":
        wrong = (f"HUB_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        return HubError("; ".join(wrong))
    if isinstance(error, PolicyError):
        return HubError(f"the policy cannot be used: {'; '.join(str(error).splitlines())}")
    if isinstance(error, DBAPIError):
        first = str(error.orig).strip().splitlines()
        return HubError(f"the database: {first[0] if first else type(error.orig).__name__}")
    if isinstance(error, SQLAlchemyError) and type(error).__name__ in ("ArgumentError", "NoSuchModuleError"):
        return HubError("HUB_DATABASE_URL cannot be read: write postgresql+psycopg://… or sqlite:///…")
    return None


def console(*, stderr: bool = True) -> Console:
    """Where people are spoken to: stderr, so that results can be piped. A file has no width to fit into."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=FILE_WIDTH)


def say(words: Text | Table | str = "") -> None:
    """Tell people something; a plain text has no markup, and is made safe to print."""
    _print(console(), words)


def show(result: Text | Table | str) -> None:
    """Print a result for people to stdout."""
    _print(console(stderr=False), result)


def _print(out: Console, words: Text | Table | str) -> None:
    # A terminal folds long lines itself, and a copied line then stays one.
    out.print(Text(safe(words)) if isinstance(words, str) else words, soft_wrap=not isinstance(words, Table))


def write(text: str) -> None:
    """Print a line as it is to stdout, in UTF-8 whatever the locale."""
    typer.echo(text.encode("utf-8", "backslashreplace"))


def write_bytes(raw: bytes) -> None:
    """Put bytes on stdout exactly as they are."""
    typer.echo(raw, nl=False)


def write_json(value: Any) -> None:
    """Print one JSON value on one line."""
    write(as_json(value))


def write_json_list(values: Iterable[Any]) -> None:
    """Print a JSON array, a line for each element, as they come."""
    before = "["
    for value in values:
        write_bytes(f"{before}\n{as_json(value)}".encode())
        before = ","
    write("[]" if before == "[" else "\n]")


def as_json(value: Any) -> str:
    """JSON on one line, by whatever end of line a reader goes; moments in ISO 8601 and UTC."""
    return json.dumps(value, ensure_ascii=False, default=_plain).translate(_LINE_ENDS)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def safe(text: str) -> str:
    """`text` with what could drive a terminal or reorder a line made visible."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def one_line(text: str, length: int) -> str:
    """The beginning of `text`, safe to print, on one line."""
    line = safe(" ".join(text[: length * 4].split()))
    return line if len(line) <= length else line[: length - 1] + "…"


def plural(count: int, one: str, many: str | None = None) -> str:
    """The count with its noun: `1 message`, `1,204 messages`, `2 replies` with `many` given."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def local(moment: datetime | None) -> str:
    """A moment in the reader's own time zone; a dash for None."""
    if moment is None:
        return "–"
    here = moment.astimezone()
    today = datetime.now().astimezone().date()
    return f"{here:%H:%M}" if here.date() == today else f"{here:%Y-%m-%d %H:%M}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[str] = ()) -> Table:
    """A plain table; cells are text, never markup. Without any name of a column it has no header."""
    made = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns), header_style="bold"
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(safe(cell)) for cell in row))
    return made


@contextmanager
def counting(
    what: str, total: int | None = None, *, then: Callable[[], None] = lambda: None
) -> Iterator[Callable[[int], None]]:
    """A line of progress on stderr where a terminal is, and what to call with how many more are done.

    `then` is called after each.
    """
    of = f" of {total:,}" if total else ""
    done = 0
    columns = (SpinnerColumn(), TextColumn("{task.fields[shown]} {task.description}"), TimeElapsedColumn())
    out = console()
    with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
        line = bar.add_task(what, total=total, shown=f"0{of}")

        def count(more: int) -> None:
            nonlocal done
            done += more
            bar.update(line, completed=done, shown=f"{done:,}{of}")
            then()

        yield count


@contextmanager
def stepping() -> Iterator[Callable[[str, int, int], None]]:
    """Progress over several steps, and what to call with a step's name, how much is done, and of how much."""
    out = console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out) as bar:
        lines: dict[str, TaskID] = {}

        def step(name: str, done: int, total: int) -> None:
            if name not in lines:
                lines[name] = bar.add_task(name, total=total)
            bar.update(lines[name], completed=done, total=max(total, 1))

        yield step


def fail_usage(message: str) -> typer.BadParameter:
    """The error for a command that was not understood: exit status 2."""
    return typer.BadParameter(message)


def is_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()
