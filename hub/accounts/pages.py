"""Signing in and out, and being there."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Form, Request, Response

from hub.accounts.service import heartbeat, keep_zone, set_away, sign_in
from hub.assignment.service import go_away
from hub.clock import utcnow
from hub.errors import Unauthorized
from hub.http import HubDep, PageUser, SessionDep, hub_of
from hub.pages import back, bare_page, go, local_path

router = APIRouter()
# Where each role begins.
HOME = {"agent": "/queue", "social": "/listening", "manager": "/response-times", "admin": "/channels"}


@router.get("/")
def home(user: PageUser) -> Response:
    return go(HOME[user.role])


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> Response:
    return _form(request, next, "", "")


@router.post("/sign-in")
def do_sign_in(
    request: Request,
    hub: HubDep,
    email: Annotated[str, Form()],
    password: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",
) -> Response:
    try:
        # Checking a password is slow on purpose: no writer waits for it.
        with hub.database.reading() as session:
            user = sign_in(session, email, password)
            session.expunge(user)
    except Unauthorized as error:
        return _form(request, next, email, str(error).capitalize() + ".", 401)
    with hub.database.session() as session:
        heartbeat(session, user.id, utcnow())
        set_away(session, user.id, False, utcnow())
        keep_zone(session, user.id, unquote(request.cookies.get("zone", "")))
    request.session.clear()
    request.session["user_id"] = user.id
    return go(local_path(next))


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    request.session.clear()
    return go("/sign-in")


@router.post("/presence")
def presence(
    request: Request, session: SessionDep, user: PageUser, presence: Annotated[str, Form()]
) -> Response:
    go_away(session, user, presence == "away", utcnow())
    return go(back(request))


def _form(request: Request, next: str, email: str, error: str, status: int = 200) -> Response:
    return bare_page(
        request,
        "sign_in.html",
        status,
        brand=hub_of(request).settings.brand,
        error=error,
        email=email,
        next=local_path(next),
        demo=request.app.state.sign_ins,
    )
