"""Nothing lost, nothing twice: every part is killed while 2,000 messages come in and agents answer."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, create_engine

from tests.servers import wait_until
from tests.soak.audit import Audit
from tests.soak.ground import Ground, alone, outgrown, populate
from tests.soak.people import Agents, Pushed, Senders
from tests.soak.vendor import Answer, Vendor

SEED = 20261121
MESSAGES = 2_000
THREADS = 600
SENDERS = 4
AGENTS = 3
REPLIES_EACH = 50
CAN_BE_ASKED = ("desk",)
SENDING_SECONDS = 120
SETTLING_SECONDS = 90
DOWN_SECONDS = (0.3, 1.5)
WORDS = (
    "Where is my parcel? It was due on Monday.",
    "Two weeks and no answer. I want my money back!",
    "Thank you, that was quick.",
    "The app closes when I open my points.",
    "Do you have these shoes in 42?",
    "I cannot sign in any more, the code never comes.",
)


def plan(key: str) -> list[Answer]:
    """How the vendor answers the tries at a reply, by the number in its key."""
    answers: dict[int, list[Answer]] = {
        1: ["503", "take"],
        3: ["500", "503", "take slowly"],
        5: ["take and cut"],
        7: ["take slowly"],
        9: ["422"],
    }
    return answers.get(int(key.rpartition("-")[2]) % 12, ["take"])


@pytest.fixture(params=[alone, outgrown])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    with request.param(tmp_path) as ground:
        yield ground


def test_every_part_is_killed_and_nothing_is_lost_or_done_twice(ground: Ground) -> None:
    rng = random.Random(SEED)
    with ExitStack() as stack:
        vendor = stack.enter_context(Vendor(plan).listening())
        channels, tokens = populate(ground, vendor, ["shop", "desk"], CAN_BE_ASKED, agents=AGENTS)
        threads = [(rng.choice(channels), f"thread-{n}", f"customer-{n % 500}") for n in range(THREADS)]
        messages = [
            Pushed(f"m-{n}", *rng.choice(threads), text=f"{rng.choice(WORDS)} ({n})") for n in range(MESSAGES)
        ]
        audit = Audit(stack.enter_context(_engine(ground)))

        senders = Senders(ground.web.url, messages, side_by_side=SENDERS, seed=SEED)
        stack.callback(senders.stop)
        agents = Agents(ground.web.url, tokens, each=REPLIES_EACH, seed=SEED)
        stack.callback(agents.stop)
        _kill_one_after_the_other(ground, senders, rng)

        wait_until(
            lambda: not senders.busy and not agents.busy,
            deadline_seconds=SENDING_SECONDS,
            what="the end of sending",
        )
        assert (senders.faults, agents.faults) == ([], [])
        wait_until(lambda: not audit.to_do(), deadline_seconds=SETTLING_SECONDS, what="settling")

        assert sorted(audit.stored()) == sorted(message.id for message in messages)
        assert audit.never() == {}
        # The plan may move somebody between the two looks, and the list has them twice or not at all.
        wait_until(
            lambda: sorted(_queue(ground.web.url, tokens[0])) == audit.waiting(),
            what="the queue as it should be",
        )
        _check_replies(audit, agents, vendor)


def _kill_one_after_the_other(ground: Ground, senders: Senders, rng: random.Random) -> None:
    """Kill each part at a random moment of the sending, and start it again a moment later."""
    names = list(ground.parts) if len(ground.parts) > 1 else list(ground.parts) * 4
    rng.shuffle(names)
    parts = len(names) + 1
    moments = [MESSAGES * (number + rng.uniform(0.2, 0.8)) / parts for number in range(len(names))]
    for name, moment, limit in zip(names, moments, [*moments[1:], math.inf], strict=True):
        # However quick they are: each part is killed in the middle.
        senders.limit = limit
        wait_until(
            lambda moment=moment: len(senders.accepted) >= moment or not senders.busy,
            deadline_seconds=SENDING_SECONDS,
            what=f"the moment to kill {name}",
        )
        assert senders.busy, senders.faults
        ground.parts[name].kill()
        time.sleep(rng.uniform(*DOWN_SECONDS))
        ground.parts[name].start()


def _check_replies(audit: Audit, agents: Agents, vendor: Vendor) -> None:
    replies = audit.replies()
    assert {key: reply.message_id for key, reply in replies.items()} == agents.replies
    assert len(replies) == AGENTS * REPLIES_EACH
    for key, reply in replies.items():
        taken = vendor.taken[key]
        told = f"{key}: {reply}, taken {taken} times, {audit.why(reply.message_id)}"
        match reply.delivery:
            case "sent":
                assert taken == 1, told
            case "failed":
                assert (taken, plan(key)) == (0, ["422"]), told
            case "unknown":
                assert taken <= 1, told
                assert reply.channel not in CAN_BE_ASKED, told
            case _:
                pytest.fail(told)


def _queue(url: str, token: str) -> list[int]:
    """The queue as the API lists it, page by page."""
    found: list[int] = []
    cursor = None
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        while True:
            page = client.get(
                "/api/v1/queue", params={"limit": 200, **({"cursor": cursor} if cursor else {})}
            )
            page.raise_for_status()
            found += [item["conversation_id"] for item in page.json()["items"]]
            cursor = page.json()["next_cursor"]
            if cursor is None:
                return found


@contextmanager
def _engine(ground: Ground) -> Iterator[Engine]:
    engine = create_engine(ground.database_url, pool_pre_ping=True)
    yield engine
    engine.dispose()
