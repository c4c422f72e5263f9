"""How the channels are, as Prometheus reads it (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from hub.channels.queries import ChannelHealth, list_channels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[dict[str, str], float | None]


def exposition(session: Session, now: datetime) -> str:
    """All gauges, each with its meaning; what nobody knows is left out."""
    lines: list[str] = []
    for name, meaning, samples in _gauges(list_channels(session, now)):
        known = [(labels, value) for labels, value in samples if value is not None]
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        lines += [f"{name}{{{_labels(labels)}}} {_number(value)}" for labels, value in known]
    return "\n".join(lines) + "\n"


def _gauges(channels: Sequence[ChannelHealth]) -> Iterator[tuple[str, str, list[Sample]]]:
    of = {each.channel.id: {"channel": each.channel.name} for each in channels}
    about: dict[str, tuple[str, Callable[[ChannelHealth], float | None]]] = {
        "hub_channel_up": (
            "1 while the channel works, 0 while it fails or waits for somebody to sign in.",
            lambda each: None if each.health == "off" else float(each.health == "ok"),
        ),
        "hub_channel_paused": ("1 while it is paused.", lambda each: float(each.health == "off")),
        "hub_channel_needs_sign_in": (
            "1 while its credentials do not serve.",
            lambda each: float(each.health == "sign_in"),
        ),
        "hub_channel_silent": (
            "1 while it is silent for longer than usual.",
            lambda each: float(each.channel.silent_since is not None),
        ),
        "hub_channel_streaming": (
            "1 while its line is open; absent where it has none.",
            lambda each: None if each.streaming is None else float(each.streaming),
        ),
        "hub_channel_last_success_timestamp_seconds": (
            "When it was last fetched or heard with success.",
            lambda each: _at(each.fetched_at),
        ),
        "hub_channel_last_received_timestamp_seconds": (
            "When its newest message came.",
            lambda each: _at(each.channel.last_received_at),
        ),
        "hub_channel_next_try_timestamp_seconds": (
            "When it is fetched next.",
            lambda each: _at(each.next_try_at),
        ),
        "hub_channel_lag_seconds": (
            "How old the newest message was when it was stored.",
            lambda each: each.channel.lag_seconds,
        ),
        "hub_channel_failures": (
            "How often in a row it could not be fetched or heard.",
            lambda each: max((float(feed.failures) for feed in each.feeds.values()), default=None),
        ),
        "hub_channel_unread": ("Pushed requests that are not read yet.", lambda each: float(each.unread)),
        "hub_channel_rejects": ("Records that could not be read.", lambda each: float(each.rejects)),
        "hub_channel_refused": (
            "Tickets whose change the vendor refused, which wait for somebody.",
            lambda each: float(each.refused),
        ),
        "hub_channel_waiting": ("Conversations that wait.", lambda each: float(each.waiting)),
        "hub_channel_backfill_stored": (
            "Messages stored by the back-fill that goes on.",
            lambda each: (
                float(each.backfill.stored) if each.backfill and each.backfill.finished_at is None else None
            ),
        ),
    }
    for name, (meaning, value) in about.items():
        yield name, meaning, [(of[each.channel.id], value(each)) for each in channels]
    for part in ("limit", "remaining"):
        yield (
            f"hub_channel_budget_{part}",
            f"The vendor's limits as it said last: {part}.",
            [
                ({**of[each.channel.id], "budget": budget["name"]}, budget[part])
                for each in channels
                for budget in each.channel.budgets or ()
            ],
        )


def _labels(labels: dict[str, str]) -> str:
    escaped = {
        name: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        for name, text in labels.items()
    }
    return ",".join(f'{name}="{text}"' for name, text in escaped.items())


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _at(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None
