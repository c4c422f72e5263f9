"""Queueing theory to hold the simulator to: waits in the long run, with Poisson arrivals.

`routing.erlang` has those of a queue that is served first come first served; these are of priorities. Levels
count from 0, the best; rates are arrivals per second of each. No order but theirs is known in closed form.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from routing.erlang import mean_wait
from routing.replay.jobs import Jobs
from routing.replay.simulator import Outcome


def residual_work(rates: Sequence[float], mean_square: float) -> float:
    """The mean work left of whom a single server has, whatever its distribution; its second moment counts.

    Pollaczek (1930) and Khinchine (1932).
    """
    return sum(rates) * mean_square / 2


def strict_waits(rates: Sequence[float], residual: float, mean: float, servers: int = 1) -> list[float]:
    """The mean wait at each level where the better goes first and nobody is interrupted (Cobham 1954).

    `residual` is the mean time until the next server is free for who comes first of all: with several servers
    and exponential work of the same mean, `waiting_probability(servers, load) * mean / servers`.
    """
    waits, better = [], 0.0
    for rate in rates:
        worse = better + rate * mean / servers
        waits.append(residual / ((1 - better) * (1 - worse)))
        better = worse
    return waits


def accumulating_waits(
    rates: Sequence[float], slopes: Sequence[float], residual: float, mean: float, servers: int = 1
) -> list[float]:
    """The mean wait at each level where priority grows with the wait, `slopes` falling from level to level.

    Kleinrock (1964), "A delay dependent queue discipline"; "Queueing Systems" II (1976), 3.7. `residual` as
    for `strict_waits`.
    """
    loads = [rate * mean / servers for rate in rates]
    waits = [0.0] * len(rates)
    first_come = residual / (1 - sum(loads))
    # From the worst level up: each needs the waits of those below.
    for level in reversed(range(len(rates))):
        below = range(level + 1, len(rates))
        above = range(level)
        spared = sum(loads[i] * waits[i] * (1 - slopes[i] / slopes[level]) for i in below)
        overtaking = sum(loads[i] * (1 - slopes[level] / slopes[i]) for i in above)
        waits[level] = (first_come - spared) / (1 - overtaking)
    return waits


@dataclass(frozen=True, slots=True)
class Poisson:
    """Arrivals at each level by rates per second, each with work from an exponential distribution."""

    rates: Sequence[float]
    mean: float
    servers: int

    @property
    def load(self) -> float:
        """In erlangs: the work that comes each second."""
        return sum(self.rates) * self.mean

    @property
    def first_come_wait(self) -> float:
        """The mean wait of everybody where who came first goes first: Erlang (1917)."""
        return mean_wait(self.servers, self.load, self.mean)

    @property
    def residual(self) -> float:
        """The mean time until the next server is free, for `strict_waits` and `accumulating_waits`."""
        return self.first_come_wait * (1 - self.load / self.servers)

    def jobs(self, count: int, seed: int, target: float = 900.0) -> Jobs:
        """So many arrivals; the promise of each level is `target` seconds longer than that of the better."""
        dice = random.Random(seed)  # noqa: S311 - a simulation, no secret
        total = sum(self.rates)
        at, clock = [], 0.0
        for _ in range(count):
            clock += dice.expovariate(total)
            at.append(clock)
        level = dice.choices(range(len(self.rates)), self.rates, k=count)
        handle = [dice.expovariate(1 / self.mean) for _ in range(count)]
        weight = [float(len(self.rates) - each) for each in level]
        due = [a + target * (1 + each) for a, each in zip(at, level, strict=True)]
        second_due = [a + 2 * target * (1 + each) for a, each in zip(at, level, strict=True)]
        return Jobs(at, handle, due, second_due, weight, [round(self.mean)] * count, level, weight)


def waits_by_level(jobs: Jobs, outcome: Outcome, levels: int) -> list[float]:
    """The mean wait until work begins at each level; the first tenth, when the queue fills, is left out."""
    totals, counts = [0.0] * levels, [0] * levels
    for job in range(len(jobs) // 10, len(jobs)):
        totals[jobs.level[job]] += outcome.started[job] - jobs.at[job]
        counts[jobs.level[job]] += 1
    return [total / count for total, count in zip(totals, counts, strict=True)]
