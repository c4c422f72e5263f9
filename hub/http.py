"""What every request goes through: the hub, one transaction, who asks, and errors as the asker reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Path, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import DataError, OperationalError, TimeoutError
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from hub import log
from hub.accounts.models import User
from hub.accounts.service import heartbeat, needs_heartbeat, set_away, user_of_token
from hub.clock import utcnow
from hub.errors import Forbidden, HubError, Unauthorized
from hub.pages import back, bare_page, go, toast
from hub.paging import LARGEST
from hub.runtime import Hub
from routing.policy import PolicyError

logger = log.get(__name__)
PROBLEM = "application/problem+json"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
bearer = HTTPBearer(auto_error=False, description="A token from `hub users token`.")


def hub_of(request: Request) -> Hub:
    """The running hub."""
    hub: Hub = request.app.state.hub
    return hub


async def _session(request: Request) -> AsyncIterator[Session]:
    database = hub_of(request).database
    transaction = database.reading() if request.method in SAFE_METHODS else database.session()
    async with request.app.state.room, contextmanager_in_threadpool(transaction) as session:
        yield session


# A request gives its thread back between its steps while its transaction stays open. If those that wait for
# its locks took all threads (anyio has 40), it could never go on; so fewer may have a transaction.
ROOM = 32

# Of scope "function": the transaction ends, and is committed, before the answer leaves.
SessionDep = Annotated[Session, Depends(_session, scope="function")]
HubDep = Annotated[Hub, Depends(hub_of)]
# The id of a row in an address. A larger number is refused here: a database would fail on it.
RowId = Annotated[int, Path(ge=1, le=LARGEST)]


def _token_user(
    request: Request,
    session: SessionDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> User:
    user = _of_token(session, credentials)
    _seen(request, session, user)
    return user


def _page_user(request: Request, session: SessionDep) -> User:
    user = _signed_in(request, session)
    _seen(request, session, user)
    if user.away_because is not None and request.method not in SAFE_METHODS:
        # Whom the hub set away does something: they are here. Pages that renew themselves only read.
        set_away(session, user.id, False, utcnow())
    return user


def _of_token(session: Session, credentials: HTTPAuthorizationCredentials | None) -> User:
    if credentials is None:
        raise Unauthorized("this needs a token: Authorization: Bearer hub_…")
    return user_of_token(session, credentials.credentials)


def _signed_in(request: Request, session: Session) -> User:
    user = session.get(User, request.session.get("user_id", 0))
    if user is None or user.disabled_at is not None:
        request.session.clear()
        raise Unauthorized("sign in first")
    return user


def _seen(request: Request, session: Session, user: User) -> None:
    now = utcnow()
    if needs_heartbeat(user, now):
        if request.method in SAFE_METHODS:
            session.rollback()
            with hub_of(request).database.session() as writing:
                heartbeat(writing, user.id, now)
        else:
            heartbeat(session, user.id, now)


def _token_caller(
    hub: HubDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> User:
    return _caller(hub, lambda session: _of_token(session, credentials))


def _page_caller(request: Request, hub: HubDep) -> User:
    return _caller(hub, lambda session: _signed_in(request, session))


def _caller(hub: Hub, find: Callable[[Session], User]) -> User:
    now = utcnow()
    with hub.database.reading() as session:
        user = find(session)
        session.expunge(user)
    if needs_heartbeat(user, now):
        with hub.database.session() as session:
            heartbeat(session, user.id, now)
    return user


ApiUser = Annotated[User, Depends(_token_user, scope="function")]
PageUser = Annotated[User, Depends(_page_user, scope="function")]
# The same for requests that ask the model: nobody's transaction is open while it thinks, and theirs is short.
ApiCaller = Annotated[User, Depends(_token_caller, scope="function")]
PageCaller = Annotated[User, Depends(_page_caller, scope="function")]


def same_origin(request: Request) -> None:
    """Refuse what another site makes a browser send: the browser says so itself (Fetch Metadata, W3C).

    Browsers without it send `Origin`, which must then be ours. Raises: Forbidden.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Forbidden("this request came from another site")
        return
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden("this request came from another site")


def is_api(request: Request) -> bool:
    """Whether a program asks, not a person."""
    return request.url.path.startswith(("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics"))


def problem(status: int, title: str, detail: str, extra: dict[str, Any] | None = None) -> JSONResponse:
    """An error for programs, after RFC 9457."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(body, status, headers, media_type=PROBLEM)


def _answer(
    request: Request, status: int, title: str, detail: str, extra: dict[str, Any] | None = None
) -> Response:
    if is_api(request):
        return problem(status, title, detail, extra)
    if status == HTTPStatus.UNAUTHORIZED:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = f"/sign-in?next={quote(here if request.method in SAFE_METHODS else '/')}"
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"HX-Redirect": target})
        return RedirectResponse(target, status_code=303)
    if request.method not in SAFE_METHODS and status in (400, 409, 422):
        # Something was asked for that cannot be done: say so where it was asked.
        toast(request, detail[:1].upper() + detail[1:] + ("" if detail.endswith(".") else "."), "bad")
        return go(back(request))
    brand = hub_of(request).settings.brand
    return bare_page(request, "error.html", status, brand=brand, reference="", detail=detail)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error as a problem to programs, and as a page to people."""

    @app.exception_handler(HubError)
    def on_hub_error(request: Request, error: HubError) -> Response:
        return _answer(request, error.status, error.title, error.detail, error.extra)

    @app.exception_handler(PolicyError)
    def on_policy_error(request: Request, error: PolicyError) -> Response:
        problems = [asdict(each) for each in error.problems]
        return _answer(request, 422, "Invalid", f"the policy cannot be used: {error}", {"problems": problems})

    @app.exception_handler(HTTPException)
    def on_http_error(request: Request, error: HTTPException) -> Response:
        title = HTTPStatus(error.status_code).phrase
        return _answer(request, error.status_code, title, str(error.detail))

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(str(part) for part in each["loc"][1:]), "message": each["msg"]}
            for each in error.errors()
        ]
        detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
        return _answer(request, 422, "Invalid", detail, {"errors": errors})

    @app.exception_handler(DataError)
    def on_unstorable(request: Request, error: DataError) -> Response:
        # NUL characters, most of all, which PostgreSQL does not even take in a question.
        return _answer(request, 422, "Invalid", "the request holds something that no database can hold")

    @app.exception_handler(OperationalError)
    @app.exception_handler(TimeoutError)
    def on_database_away(request: Request, error: Exception) -> Response:
        why = type(getattr(error, "orig", error)).__name__
        logger.error("database_away", method=request.method, path=request.url.path, error=why)
        answer = _answer(request, 503, "Not available", "The database does not answer; please try again.")
        answer.headers["Retry-After"] = "1"
        return answer

    @app.exception_handler(Exception)
    def on_crash(request: Request, error: Exception) -> Response:
        logger.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
        return _answer(request, 500, "Internal error", "Something went wrong on our side; it was logged.")
