"""`hub tags`: the short words that conversations have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.opening import opened
from hub.cli.output import JsonOption, one_line, plural, safe, say, show, table, write_json, write_json_list
from hub.cli.paged import CursorOption, LimitOption, Paged

if TYPE_CHECKING:
    from hub.conversations.models import Conversation

IdArgument = Annotated[int, typer.Argument(metavar="CONVERSATION", min=1, help="Its number.")]
TagsArgument = Annotated[list[str], typer.Argument(metavar="TAG…")]
AsOption = Annotated[str, typer.Option("--as", metavar="EMAIL", help="Who does it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Tags: short words that conversations have.", no_args_is_help=True)
    group.command("list")(list_tags)
    group.command("find")(find)
    group.command("add")(add)
    group.command("remove")(remove)
    app.add_typer(group, name="tags")


def list_tags(
    beginning: Annotated[str, typer.Argument(help="Only those that begin so.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the tags, those of most conversations first."""
    from hub.conversations.tags import list_tags

    with opened() as hub, hub.database.reading() as session:
        found = list_tags(session, beginning, limit)
    if as_json:
        write_json_list({"name": each.name, "conversations": each.conversations} for each in found)
    elif found:
        rows = [(each.name, f"{each.conversations:,}") for each in found]
        show(table(("tag", "conversations"), rows, right=("conversations",)))
    else:
        say("No tags yet: hub tags add CONVERSATION TAG --as EMAIL")


def find(
    tag: Annotated[str, typer.Argument(metavar="TAG")],
    limit: LimitOption = None,
    cursor: CursorOption = "",
    as_json: JsonOption = False,
) -> None:
    """List the conversations that have a tag, the one with the newest message first."""
    from hub.conversations.api import conversation_out
    from hub.conversations.queries import list_conversations

    with opened() as hub, hub.database.reading() as session:
        pages: Paged[Conversation] = Paged(
            lambda at, size: list_conversations(session, tag=tag, cursor=at, limit=size), cursor
        )
        found = pages.rows(limit, as_json)
        if as_json:
            write_json_list(conversation_out(each).model_dump(mode="json") for each in found)
        else:
            rows = [
                (
                    f"#{each.id}",
                    safe(each.customer.name),
                    each.channel.name,
                    each.status.replace("_", " "),
                    ", ".join(each.tags),
                    one_line(each.subject or "", 60),
                )
                for each in found
            ]
            columns = ("", "customer", "channel", "status", "tags", "subject")
            if rows:
                show(table(columns, rows))
            else:
                say(f"No conversation has the tag {safe(tag)}.")
        if pages.next_cursor:
            say(f"There are more: hub tags find {safe(tag)} --cursor {pages.next_cursor}")


def add(conversation: IdArgument, tags: TagsArgument, who: AsOption, as_json: JsonOption = False) -> None:
    """Put tags to a conversation. Its vendor is told, where it keeps tags."""
    _change(conversation, who, as_json, add=tags)


def remove(conversation: IdArgument, tags: TagsArgument, who: AsOption, as_json: JsonOption = False) -> None:
    """Take tags from a conversation. Its vendor is told, where it keeps tags."""
    _change(conversation, who, as_json, remove=tags)


def _change(
    conversation_id: int,
    who: str,
    as_json: bool,
    *,
    add: list[str] | None = None,
    remove: list[str] | None = None,
) -> None:
    from hub.accounts.service import find_user
    from hub.clock import utcnow
    from hub.conversations.service import get_conversation
    from hub.conversations.tags import change_tags

    with opened(nudging=True) as hub, hub.database.session() as session:
        user = find_user(session, who)
        conversation = get_conversation(session, conversation_id)
        added, removed = change_tags(
            session, conversation, add=add or (), remove=remove or (), user=user, now=utcnow()
        )
        tags = conversation.tags
    if as_json:
        write_json({"conversation": conversation_id, "added": added, "removed": removed, "tags": tags})
        return
    done = [f"{plural(len(added), 'tag')} put"] if added else []
    done += [f"{plural(len(removed), 'tag')} taken away"] if removed else []
    has = ", ".join(tags) or "none"
    say(f"#{conversation_id}: {', '.join(done) or 'nothing to change'}. Its tags: {has}.")
