"""One line of a trace file, and the conversation that it tells of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from routing.types import Facts
from sentiment.types import INTENTS, SENTIMENTS, Analysis, Intent, Sentiment

NO_CHANNEL = "unknown"
MODEL = "trace"
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_WEEK_SECONDS = 7 * 86_400
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_INTENTS = {label.casefold(): label for label in INTENTS}
_SENTIMENTS = {label.casefold(): label for label in SENTIMENTS}
# What pydantic calls a file's mistakes, in words of the file.
_WORDS = {
    "json_invalid": "this is no JSON",
    "missing": "is missing",
    "model_type": "is to be an object with names and values",
    "model_attributes_type": "is to be an object with names and values",
}

KindOf = Callable[[str], str]
"""The kind (`social`, `mail`, `ticket`) of a channel that a trace names."""


@dataclass(frozen=True, slots=True)
class Record:
    """A wait that is replayed: since when, what is known, and how long an agent works on it.

    `handle_seconds` is None where nobody knows. `ref` is its line in the file, or the conversation's id.
    """

    ref: int
    arrived_at: datetime
    facts: Facts
    handle_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read of a trace or of staffing: the line, why, and its text as far as it is short.

    `skipped`: the whole line was left out; otherwise only what `reason` names.
    """

    line: int
    reason: str
    text: str
    skipped: bool = True


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Customer(_Part):
    tier: str | None = None
    spend_percentile: Annotated[float, Field(ge=0, le=100)] | None = None
    followers: Annotated[int, Field(ge=0)] | None = None
    language: Annotated[str, Field(max_length=40)] | None = None


class _Label(_Part):
    label: str | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0


class _Analysis(_Part):
    language: _Label | None = None
    sentiment: _Label | None = None
    intents: list[_Label] | None = None


class _Line(_Part):
    arrived_at: datetime
    channel: Annotated[str, Field(max_length=200)] | None = None
    channel_kind: Literal["social", "mail", "ticket"] | None = None
    metric: Literal["first_reply_time", "next_reply_time"] | None = None
    handle_seconds: Annotated[float, Field(ge=0, le=_WEEK_SECONDS)] | None = None
    customer: _Customer | None = None
    analysis: _Analysis | None = None


class Reader:
    """Reads the lines of one trace; the same facts are one object, however many share them."""

    def __init__(self, kind_of: KindOf) -> None:
        self._kind_of = kind_of
        self._known: dict[tuple[Any, ...], tuple[Facts, tuple[str, ...]]] = {}

    def read(self, number: int, line: bytes) -> tuple[Record, tuple[str, ...]]:
        """The record, and what of it was left out, in words. Raises: ValueError, which says what is wrong."""
        try:
            read = _Line.model_validate_json(line)
        except ValidationError as error:
            raise ValueError("; ".join(_in_words(each) for each in error.errors(include_url=False))) from None
        at = read.arrived_at
        if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
            raise ValueError(f"arrived_at: the year is not between {_FIRST_YEAR} and {_LAST_YEAR}")
        # A time without a zone is UTC.
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        key = _key(read)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _facts(read, self._kind_of)
        return Record(number, at, known[0], read.handle_seconds), known[1]


def _key(line: _Line) -> tuple[Any, ...]:
    customer, analysis = line.customer, line.analysis
    who = tuple(customer.__dict__.values()) if customer else None
    said: tuple[Any, ...] | None = None
    if analysis is not None:
        mood, tongue = analysis.sentiment, analysis.language
        said = (
            tongue and (tongue.label, tongue.confidence),
            mood and (mood.label, mood.confidence),
            tuple([(each.label, each.confidence) for each in analysis.intents or ()]),
        )
    return line.channel, line.channel_kind, line.metric, who, said


def _facts(line: _Line, kind_of: KindOf) -> tuple[Facts, tuple[str, ...]]:
    notes: list[str] = []
    channel = line.channel or NO_CHANNEL
    customer = line.customer or _Customer()
    facts = Facts(
        channel=channel,
        channel_kind=line.channel_kind or kind_of(channel),
        metric=line.metric or "first_reply_time",
        tier=customer.tier,
        spend_percentile=customer.spend_percentile,
        followers=customer.followers,
        analysis=_analysis(line.analysis, notes) if line.analysis else None,
        customer_language=_language("customer.language", customer.language, notes),
    )
    return facts, tuple(notes)


def _analysis(read: _Analysis, notes: list[str]) -> Analysis:
    mood = read.sentiment or _Label()
    label = _SENTIMENTS.get(mood.label.casefold()) if mood.label else None
    if mood.label and label is None:
        notes.append(f"analysis.sentiment: left out, {mood.label!r} is none of {', '.join(SENTIMENTS)}")
    sentiment = Sentiment(label, mood.confidence if label else 0.0, {label: mood.confidence} if label else {})
    intents = []
    for each in read.intents or ():
        intent = _INTENTS.get(each.label.casefold()) if each.label else None
        if intent is not None:
            intents.append(Intent(intent, each.confidence))
        elif each.label:
            notes.append(f"analysis.intents: left out, {each.label!r} is no intent of the model")
    tongue = read.language or _Label()
    language = _language("analysis.language", tongue.label, notes)
    heads = {"sentiment": label, "intents": intents}
    silent = tuple([f"{head}: the trace does not tell" for head, said in heads.items() if not said])
    sure = tongue.confidence if language else 0.0
    return Analysis(MODEL, language, sure, sentiment, tuple(intents), silent)


def _language(field: str, given: str | None, notes: list[str]) -> str | None:
    """The code of a language; of a regional one, as de-AT, that of the language."""
    code = re.split("[-_]", given.strip().casefold())[0] if given else ""
    if _LANGUAGE.fullmatch(code):
        return code
    if given:
        notes.append(f"{field}: left out, {given!r} is no code of a language such as en or de")
    return None


def _in_words(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    message = _WORDS.get(error["type"]) or f"{error['msg'][0].lower()}{error['msg'][1:]}"
    if error["type"] == "json_invalid":
        return message
    return f"{where}: {message}" if where else f"the line {message}"
