"""The model: how fast it reads, how soon a worker is ready, how much memory it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

from hub.bench.figures import Figure, at_least, at_most
from sentiment.examples import invented

AREA = "scoring"
STATUS = Path("/proc/self/status")


def mix(count: int) -> list[str]:
    """Three tweets to each mail, of the project's own invention; always the same ones.

    A mail is two of the invented ones, one after the other: as long as mails are, about 50 word pieces a
    message then, and 160 for the longest twentieth.
    """
    draw = Random(count)  # noqa: S311 - a sample, not a secret
    tweets, mails = (
        [message["text"] for message in invented() if message["voice"] == voice]
        for voice in ("tweet", "mail")
    )
    pairs = iter(draw.sample(mails, 2 * (count // 4)))
    chosen = iter(draw.sample(tweets, count - count // 4))
    mixed = []
    for first, second in zip(pairs, pairs, strict=True):
        mixed += [*islice(chosen, 3), f"{first}\n\n{second}"]
    return mixed + list(chosen)


def bench_scoring(messages: int, progress: Callable[[str], None]) -> Iterator[Figure]:
    """One pass for all heads, beside three pipelines, obsei's classifier and the processor's peak."""
    from sentiment.bench import measure

    texts = mix(messages)
    progress(f"{AREA}: a worker that starts and reads {messages} messages")
    ready, memory = _worker(texts)
    progress(f"{AREA}: the same messages beside others, in turns")
    speed = measure(texts)
    yield Figure(AREA, "word pieces in a message, mean", speed.pieces, "")
    yield Figure(AREA, "word pieces in a message, p95", speed.pieces_p95, "")
    yield Figure(AREA, "one pass, all heads, fp32", speed.fp32, "messages/s")
    yield Figure(AREA, "three pipelines, one text at a time", speed.pipelines, "messages/s")
    yield Figure(AREA, "obsei's local classifier", speed.zero_shot, "messages/s")
    yield at_least(AREA, "one pass against the pipelines", speed.fp32 / speed.pipelines, "×", 8)
    yield at_least(AREA, "one pass against obsei's", speed.fp32 / speed.zero_shot, "×", 40)
    yield Figure(AREA, "a core's fp32 matrix product", speed.peak / 1e9, "GFLOP/s")
    share = speed.flops / speed.peak
    yield at_least(AREA, "one pass, share of that", share, "", 0.6)
    yield Figure(
        AREA, "a pass at all of that, against the pipelines", speed.fp32 / share / speed.pipelines, "×"
    )
    yield at_least(AREA, "labels as the plain network's", speed.agreement, "", 1)
    if speed.bf16 is not None and speed.bf16_agreement is not None:
        yield Figure(AREA, "one pass, all heads, bf16", speed.bf16, "messages/s")
        yield at_least(AREA, "bf16 against the pipelines", speed.bf16 / speed.pipelines, "×", 12)
        yield at_least(AREA, "bf16, labels as the plain network's", speed.bf16_agreement, "", 0.995)
    yield at_most(AREA, "one short message alone, p95", speed.latency_seconds, "s", 0.04)
    yield at_most(AREA, "a worker's start to its first answer", ready, "s", 5)
    if memory is not None:
        yield at_most(AREA, "a worker's most memory", memory / 1e9, "GB", 1)


def work() -> None:
    """A worker's process: load all that a worker does, answer a message, then read those on stdin.

    A line to stdout after the first answer, and one with the most memory taken, in bytes (Linux).
    """
    import sentiment
    from hub.worker import celery, jobs  # noqa: F401 - a worker has them

    scorer = sentiment.load(threads=1)
    scorer.score(["Where is my parcel?"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    scorer.score(json.load(sys.stdin))
    if STATUS.exists():
        (peak,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        sys.stdout.write(f"{int(peak.split()[1]) * 1024}\n")


def _worker(texts: list[str]) -> tuple[float, int | None]:
    """Seconds from its start to its first answer, and its most memory in bytes, None where none can tell."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", "from hub.bench.scoring import work; work()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("a pipe was asked for")
        process.stdout.readline()
        ready = time.perf_counter() - began
        memory, _ = process.communicate(json.dumps(texts))
    if process.returncode:
        raise AssertionError(f"the worker ended with status {process.returncode}")
    return ready, int(memory) if memory else None
