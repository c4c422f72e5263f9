"""The jobs. Each looks for work in the database, does some, and says how much there was.

A nudge only says "look now"; each job also looks by itself every `every_seconds`, so that a nudge may be
lost, late or doubled. `gap_seconds` keeps runs apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hub.assignment.pushing import assign_waiting
from hub.automations.service import automate
from hub.channels.backfilling import backfill
from hub.channels.fetching import fetch
from hub.channels.media import fetch_media
from hub.channels.renewing import renew_credentials
from hub.channels.silence import listen_for_silence
from hub.conversations.attachments import clean_files
from hub.conversations.delivery import deliver
from hub.inbox.analyse import analyse
from hub.inbox.pushed import receive_pushed
from hub.learning.reanalysis import reanalyse
from hub.listening.saved import fill_searches
from hub.queue.handling import learn_handling
from hub.queue.planner import plan_queue
from hub.queue.service import replace_stale
from hub.queue.sweep import sweep
from hub.runtime import Hub
from hub.staffing.service import foresee
from hub.tickets.telling import tell
from hub.warnings.mailing import mail_warnings
from hub.warnings.service import warn


@dataclass(frozen=True, slots=True)
class Job:
    """`run` returns how many pieces of work it found; it is called again until there are none.

    So many `threads` of a process do it side by side: more than one where a slow vendor would hold up others.
    """

    run: Callable[[Hub], int]
    every_seconds: float
    gap_seconds: float = 0.0
    threads: int = 1


JOBS: dict[str, Job] = {
    "receive": Job(receive_pushed, every_seconds=5),
    "analyse": Job(analyse, every_seconds=5),
    "renew": Job(renew_credentials, every_seconds=5),
    "fetch": Job(fetch, every_seconds=2, threads=4),
    "media": Job(fetch_media, every_seconds=5, threads=2),
    "deliver": Job(deliver, every_seconds=5),
    "tell": Job(tell, every_seconds=5),
    "replace": Job(replace_stale, every_seconds=10),
    "plan": Job(plan_queue, every_seconds=5, gap_seconds=1),
    "automate": Job(automate, every_seconds=2),
    "assign": Job(assign_waiting, every_seconds=2),
    "sweep": Job(sweep, every_seconds=10),
    "warn": Job(warn, every_seconds=5),
    "mail": Job(mail_warnings, every_seconds=5),
    "clean": Job(clean_files, every_seconds=3600),
    "reanalyse": Job(reanalyse, every_seconds=2, gap_seconds=0.02),
    "backfill": Job(backfill, every_seconds=2, gap_seconds=0.2),
    "fill": Job(fill_searches, every_seconds=30, gap_seconds=0.1),
    "foresee": Job(foresee, every_seconds=60),
    "handling": Job(learn_handling, every_seconds=60),
    "silence": Job(listen_for_silence, every_seconds=60),
}
