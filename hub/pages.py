"""What all pages share: who looks, what waits, notices, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.accounts.models import User
from hub.assignment.queries import offer_views
from hub.channels.queries import list_notices
from hub.clock import utcnow
from hub.conversations.models import Conversation, Promise
from hub.inbox.models import Reject
from hub.policies.service import active_policy
from hub.runtime import Hub
from hub.staffing.queries import warning_of
from hub.warnings.queries import count_unread
from hub.web.render import CONTENT_SECURITY_POLICY, render

THEMES = ("auto", "light", "dark")


def page(
    request: Request, session: Session, user: User, template: str, nav: str, **context: Any
) -> HTMLResponse:
    """A page for somebody who is signed in; `nav` is the section to mark."""
    hub: Hub = request.app.state.hub
    now = context.pop("now", None) or utcnow()
    waiting, overdue = session.execute(
        select(func.count(), func.count().filter(Promise.due_at < now))
        .select_from(Conversation)
        .outerjoin(Promise, Promise.id == Conversation.promise_id)
        .where(Conversation.reply_by.is_not(None))
    ).one()
    if user.away_because is not None or active_policy(session).policy.assignment.mode == "push":
        context["offers"] = offer_views(session, user.id, now)
        context["away_because"] = user.away_because
    rejects = session.scalar(select(func.count()).select_from(Reject))
    return bare_page(
        request,
        template,
        brand=hub.settings.brand,
        me=view_of_me(user),
        nav=nav,
        notices=_notices(session, user),
        badges={
            "waiting": waiting,
            "overdue": overdue,
            "rejects": rejects,
            "warnings": count_unread(session, user.id),
        },
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        now=now,
        **context,
    )


def view_of_me(user: User) -> dict[str, str]:
    """Who is signed in, as base.html shows them."""
    return {
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "presence": "away" if user.away else "online",
    }


def _notices(session: Session, user: User) -> list[dict[str, str]]:
    """What is wrong with channels; and for those who can help it, what will go wrong within two hours."""
    found = [{"name": each.channel, "text": each.text, "url": "/channels"} for each in list_notices(session)]
    warning = warning_of(session) if user.role in ("manager", "admin") else None
    return [*found, {"name": "Staffing", "text": warning, "url": "/staffing"}] if warning else found


def bare_page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page that needs nobody to be signed in."""
    theme = request.cookies.get("theme", "auto")
    context = {"now": utcnow(), "status": status, **context}
    html = render(
        template,
        theme=theme if theme in THEMES else "auto",
        toasts=request.session.pop("toasts", []) if "session" in request.scope else [],
        **context,
    )
    return HTMLResponse(html, status, {"Content-Security-Policy": CONTENT_SECURITY_POLICY})


def zone_of(request: Request, session: Session) -> ZoneInfo:
    """The browser's time zone, as its cookie says; the policy's where it says none."""
    try:
        return ZoneInfo(unquote(request.cookies["zone"]))
    except (KeyError, ValueError, OSError):
        return ZoneInfo(active_policy(session).policy.time_zone)


def toast(
    request: Request, text: str, kind: str = "good", undo: tuple[str, Mapping[str, str]] | None = None
) -> None:
    """Show a notice on the next page; `undo` is the action and its fields."""
    told = {
        "kind": kind,
        "text": text,
        "undo": {"action": undo[0], "fields": dict(undo[1])} if undo else None,
    }
    # Set anew: what is changed within it is not stored.
    request.session["toasts"] = [*request.session.get("toasts", []), told]


def back(request: Request) -> str:
    """The page of ours that the request came from, else the start."""
    parts = urlsplit(request.headers.get("referer", "/"))
    if parts.netloc and parts.netloc != request.headers.get("host"):
        return "/"
    return local_path(parts.path + (f"?{parts.query}" if parts.query else ""))


def local_path(target: str) -> str:
    """A path of this hub; anything else leads home, so that no link of ours sends people elsewhere."""
    fine = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if fine else "/"


def go(url: str) -> Response:
    """On to another page, after something was done."""
    return RedirectResponse(url, status_code=303)
