"""Senders that push messages and agents that answer; both try again until they have been heard."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Event, Thread
from typing import Any

import httpx2
from standardwebhooks import Webhook

from tests.soak.ground import Channel

PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Pushed:
    """One message of a customer, and the channel it comes by."""

    id: str
    channel: Channel
    thread: str
    author: str
    text: str


class Crowd:
    """Threads that act on the hub until they are done; `statuses` counts what they were answered.

    An error, a missing answer or a 503 is tried again, the same request as before. Any other answer but a
    success is a fault of the hub, kept in `faults`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.statuses: Counter[int | str] = Counter()
        self.faults: list[str] = []
        self._threads: list[Thread] = []
        self._stop = Event()

    def start(self, jobs: Iterable[Callable[[httpx2.Client], None]]) -> None:
        for job in jobs:
            thread = Thread(target=self._run, args=(job,), daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Have everybody finish the request they are at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _run(self, job: Callable[[httpx2.Client], None]) -> None:
        try:
            with httpx2.Client(base_url=self.url, timeout=PATIENCE_SECONDS) as client:
                job(client)
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}")

    def _ask(
        self,
        client: httpx2.Client,
        make: Callable[[], httpx2.Request],
        fine: Sequence[int],
        rng: random.Random,
    ) -> httpx2.Response | None:
        """The first answer that is `fine`; None where it is time to stop."""
        while not self._stop.is_set():
            try:
                answer = client.send(make())
            except httpx2.TransportError as error:
                self.statuses[type(error).__name__] += 1
            else:
                self.statuses[answer.status_code] += 1
                if answer.status_code in fine:
                    return answer
                if answer.status_code != 503:
                    self.faults.append(f"{answer.request.url} {answer.status_code}: {answer.text[:500]}")
                    self._stop.set()
            self._stop.wait(rng.uniform(0.05, 0.3))
        return None


class Senders(Crowd):
    """Push messages, each until it is answered 200; then it is in `accepted`. Some push once more, late.

    They wait while as many as `limit` are accepted.
    """

    REPEATED = 0.03

    def __init__(self, url: str, messages: Sequence[Pushed], *, side_by_side: int, seed: int) -> None:
        super().__init__(url)
        self.accepted: list[str] = []
        self.limit = math.inf
        self.start(
            lambda client, n=n: self._push(client, messages[n::side_by_side], random.Random(f"{seed}-{n}"))
            for n in range(side_by_side)
        )

    def _push(self, client: httpx2.Client, messages: Sequence[Pushed], rng: random.Random) -> None:
        for message in messages:
            while len(self.accepted) >= self.limit and not self._stop.wait(0.05):
                pass
            make = partial(signed, client, message)
            if self._ask(client, make, (200,), rng) is None:
                return
            self.accepted.append(message.id)
            if rng.random() < self.REPEATED:
                self._ask(client, make, (200,), rng)


class Agents(Crowd):
    """Take the next conversation and answer it, each reply under a key of its own until it is accepted.

    `replies` has the hub's message id by key. Each agent gives `each` replies, some of them twice.
    """

    THINKING_SECONDS = (0.02, 0.2)

    def __init__(self, url: str, tokens: Sequence[str], *, each: int, seed: int) -> None:
        super().__init__(url)
        self.replies: dict[str, int] = {}
        self.start(
            lambda client, n=n, token=token: self._work(client, n, token, each, random.Random(f"{seed}-{n}"))
            for n, token in enumerate(tokens)
        )

    def _work(self, client: httpx2.Client, number: int, token: str, each: int, rng: random.Random) -> None:
        client.headers["Authorization"] = f"Bearer {token}"
        for n in range(each):
            self._stop.wait(rng.uniform(*self.THINKING_SECONDS))
            conversation = self._next(client, rng)
            if conversation is None:
                return
            key = f"reply-{number}-{n}"
            answer = self._reply(client, conversation, key, rng)
            if answer is None:
                return
            self.replies[key] = answer["id"]
            if n % 7 == 0:
                again = self._reply(client, conversation, key, rng)
                if again is not None and again["id"] != answer["id"]:
                    self.faults.append(f"{key} is message {answer['id']} and {again['id']}")

    def _next(self, client: httpx2.Client, rng: random.Random) -> int | None:
        while True:
            request = client.build_request("POST", "/api/v1/queue/next")
            answer = self._ask(client, lambda request=request: request, (200, 404), rng)
            if answer is None:
                return None
            if answer.status_code == 200:
                return int(answer.json()["conversation_id"])
            self._stop.wait(0.1)

    def _reply(
        self, client: httpx2.Client, conversation: int, key: str, rng: random.Random
    ) -> dict[str, Any] | None:
        request = client.build_request(
            "POST",
            f"/api/v1/conversations/{conversation}/replies",
            json={"text": f"We are sorry, and look into it ({key})."},
            headers={"Idempotency-Key": key},
        )
        answer = self._ask(client, lambda: request, (201,), rng)
        return None if answer is None else answer.json()


def signed(client: httpx2.Client, message: Pushed) -> httpx2.Request:
    """The push of a message, signed anew on every try, as the time is part of it; the id stays."""
    body = json.dumps(
        {
            "id": message.id,
            "text": message.text,
            "thread": message.thread,
            "author": {"id": message.author},
        }
    )
    delivery = f"delivery-{message.id}"
    now = datetime.fromtimestamp(int(time.time()), UTC)
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(message.channel.secret).sign(delivery, now, body),
        "content-type": "application/json",
    }
    return client.build_request("POST", f"/webhooks/{message.channel.name}", content=body, headers=headers)
