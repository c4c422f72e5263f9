"""The web process: pages, API, webhooks, the live stream, and health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from sqlalchemy import text
from starlette.datastructures import MutableHeaders
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from connectors.base import BadSignature, Delivery
from hub import __version__
from hub.accounts import pages as account_pages
from hub.accounts.models import User
from hub.accounts.service import heartbeat, needs_heartbeat
from hub.assignment import api as assignment_api
from hub.assignment import pages as assignment_pages
from hub.automations import api as automations_api
from hub.automations import pages as automation_pages
from hub.channels import api as channels_api
from hub.channels import metrics as channel_metrics
from hub.channels import pages as channel_pages
from hub.channels import setup_pages as channel_setup_pages
from hub.channels.service import find_channel
from hub.clock import utcnow
from hub.conversations import api as conversations_api
from hub.conversations import pages as conversation_pages
from hub.customers import api as customers_api
from hub.customers import pages as customer_pages
from hub.errors import Unauthorized
from hub.explaining import api as explaining_api
from hub.explaining import pages as explaining_pages
from hub.http import ROOM, ApiUser, HubDep, SessionDep, hub_of, install_error_handlers, problem, same_origin
from hub.inbox import api as inbox_api
from hub.inbox import pages as inbox_pages
from hub.inbox.pushed import accept
from hub.learning import api as learning_api
from hub.learning import pages as learning_pages
from hub.listening import api as listening_api
from hub.listening import pages as listening_pages
from hub.live import KEEP_ALIVE_SECONDS, RECONNECT_MS, LiveChanges
from hub.policies import api as policies_api
from hub.policies import pages as policy_pages
from hub.queue import api as queue_api
from hub.queue import pages as queue_pages
from hub.reports import api as reports_api
from hub.reports import pages as report_pages
from hub.runtime import Hub
from hub.staffing import api as staffing_api
from hub.staffing import pages as staffing_pages
from hub.warnings import api as warnings_api
from hub.warnings import pages as warning_pages
from hub.web.render import STATIC
from hub.worker.embedded import EmbeddedWorker

SESSION_SECONDS = 14 * 24 * 3600
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
ground = APIRouter()


def create_app(
    hub: Hub, worker: EmbeddedWorker | None = None, sign_ins: Sequence[Mapping[str, str]] = ()
) -> FastAPI:
    """The application over an open hub.

    `worker` does the background work in this process, where there is one. `sign_ins` are offered on the
    sign-in page with their passwords: for a demo only.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.live = LiveChanges(hub.database)
        app.state.live.start()
        if worker is not None:
            worker.start(hub)
        yield
        await asyncio.to_thread(app.state.live.stop)
        if worker is not None:
            await asyncio.to_thread(worker.stop)
        hub.close()

    app = FastAPI(
        title="cem-hub",
        version=__version__,
        summary="Conversations with customers, in the order in which they should be answered.",
        docs_url="/api/docs",
        openapi_url="/api/v1/openapi.json",
        redoc_url=None,
        lifespan=lifespan,
        routes=list(_routes()),
    )
    app.state.hub = hub
    app.state.room = asyncio.Semaphore(ROOM)
    app.state.sign_ins = sign_ins
    app.add_middleware(
        SessionMiddleware,
        secret_key=hub.settings.key,
        session_cookie="hub_session",
        max_age=SESSION_SECONDS,
        same_site="lax",
        https_only=hub.settings.secure_cookies,
    )
    install_error_handlers(app)
    app.add_middleware(_SecurityHeaders)
    return app


class _SecurityHeaders:
    """Adds headers to every answer, streams included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: ASGIMessage) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class _Assets(StaticFiles):
    """Built assets carry their content's hash in the name, so they may be kept for ever."""

    def file_response(self, *args, **kwargs) -> Response:  # type: ignore[no-untyped-def]
        response = super().file_response(*args, **kwargs)
        if "built" in str(args[0]):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@ground.get("/healthz", tags=["health"])
def healthz() -> dict[str, str]:
    """This process is alive."""
    return {"status": "ok"}


@ground.get("/readyz", tags=["health"])
def readyz(hub: HubDep) -> Response:
    """The database answers too; 503 while it does not."""
    try:
        with hub.database.reading() as session:
            session.execute(text("SELECT 1"))
    except Exception as error:
        return problem(503, "Not ready", f"the database does not answer: {type(error).__name__}")
    return JSONResponse({"status": "ok"})


@ground.get("/metrics", tags=["health"])
def metrics(user: ApiUser, session: SessionDep) -> Response:
    """How the channels are, as Prometheus reads it; it asks with a token, as every program does."""
    return Response(channel_metrics.exposition(session, utcnow()), media_type=channel_metrics.CONTENT_TYPE)


@ground.post("/webhooks/{name}", tags=["webhooks"], status_code=200)
async def receive_webhook(request: Request, name: str) -> Response:
    """A pushed request, signed as Standard Webhooks asks. It is stored before it is answered."""
    hub = hub_of(request)
    limit = hub.settings.webhook_max_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return problem(413, "Too large", f"a request may have {limit} bytes at most")
    delivery = Delivery(dict(request.headers), bytes(body), utcnow())
    return await asyncio.to_thread(_accept, hub, name, delivery)


def _still_here(hub: Hub, user_id: int) -> bool:
    """Note that the reader of a stream is here; whether they may go on reading."""
    now = utcnow()
    with hub.database.reading() as session:
        user = session.get(User, user_id)
        if user is None or user.disabled_at is not None:
            return False
        due = needs_heartbeat(user, now)
    if due:
        with hub.database.session() as session:
            heartbeat(session, user_id, now)
    return True


def _accept(hub: Hub, name: str, delivery: Delivery) -> Response:
    with hub.database.session() as session:
        try:
            fresh = accept(session, find_channel(session, name), delivery)
        except BadSignature as error:
            return problem(401, "Unauthorized", str(error))
    return JSONResponse({"status": "accepted" if fresh else "known"})


def _signed_in(request: Request) -> int:
    """Who opens a stream; their transaction does not stay open as long as it does."""
    user_id = int(request.session.get("user_id", 0))
    with hub_of(request).database.reading() as session:
        user = session.get(User, user_id)
        if user is None or user.disabled_at is not None:
            raise Unauthorized("sign in first")
    return user_id


@ground.get("/live", include_in_schema=False, response_class=EventSourceResponse)
async def live(
    request: Request, user_id: Annotated[int, Depends(_signed_in)]
) -> AsyncIterator[ServerSentEvent]:
    """What changed, for open pages: `queue`, and `conversation-ID` for each, or `conversations` for too many.

    While a page is open its reader counts as here.
    """
    hub = hub_of(request)
    noted_at = monotonic()
    yield ServerSentEvent(comment="open", retry=RECONNECT_MS)
    async for changed in request.app.state.live.changes():
        if monotonic() - noted_at >= KEEP_ALIVE_SECONDS:
            noted_at = monotonic()
            if not await asyncio.to_thread(_still_here, hub, user_id):
                return
        if changed is None:
            yield ServerSentEvent(comment="still here")
            continue
        yield ServerSentEvent(event="queue", data="changed")
        if not changed:
            yield ServerSentEvent(event="conversations", data="changed")
        for conversation_id in sorted(changed):
            yield ServerSentEvent(event=f"conversation-{conversation_id}", data="changed")


@cache
def _routes() -> Sequence[BaseRoute]:
    """What is answered where, for every hub alike; made once, since it takes FastAPI a tenth of a second."""
    router = APIRouter()
    router.mount("/static", _Assets(directory=STATIC), name="static")
    for api in (
        queue_api,
        policies_api,
        automations_api,
        assignment_api,
        conversations_api,
        customers_api,
        explaining_api,
        learning_api,
        listening_api,
        reports_api,
        warnings_api,
        staffing_api,
        channels_api,
        inbox_api,
    ):
        router.include_router(api.router, prefix="/api/v1")
    for pages in (
        account_pages,
        queue_pages,
        assignment_pages,
        conversation_pages,
        customer_pages,
        explaining_pages,
        learning_pages,
        policy_pages,
        automation_pages,
        listening_pages,
        report_pages,
        warning_pages,
        staffing_pages,
        channel_pages,
        channel_setup_pages,
        inbox_pages,
    ):
        router.include_router(pages.router, include_in_schema=False, dependencies=[Depends(same_origin)])
    router.include_router(ground)
    return router.routes
