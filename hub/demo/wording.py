"""Fills the placeholders of a script: dates that move with the present, and the quoted history of mails.

`{{name}}`, `{{first}}`, `{{loyalty}}` are the customer's; `{{-5d}}` is the date five days before the
message. `[[quote]]` in a mail quotes all turns before it, the newest first, as mail programs do;
`[[quote outlook]]` does it the other way, with blocks of headers. `[[wrote 20d]]` quotes the words after it
as the brand's mail of 20 days ago, `[[wrote 20d me]]` as the customer's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}
_DAYS = {
    "en": "Mon Tue Wed Thu Fri Sat Sun",
    "de": "Mo. Di. Mi. Do. Fr. Sa. So.",
    "fr": "lun. mar. mer. jeu. ven. sam. dim.",
    "es": "lun mar mié jue vie sáb dom",
}
_WROTE = {
    "en": "On {day}, {date} {year} at {time}, {who} <{address}> wrote:",
    "de": "Am {day}, {date} {year} um {time} Uhr schrieb {who} <{address}>:",
    "fr": "Le {day} {date} {year} à {time}, {who} <{address}> a écrit :",
    "es": "El {day}, {date} de {year} a las {time}, {who} (<{address}>) escribió:",
}
_BLOCK = {
    "en": ("Original Message", "From: ", "Sent: ", "To: ", "Subject: "),
    "de": ("Ursprüngliche Nachricht", "Von: ", "Gesendet: ", "An: ", "Betreff: "),
    "fr": ("Message d'origine", "De : ", "Envoyé : ", "À : ", "Objet : "),
    "es": ("Mensaje original", "De: ", "Enviado el: ", "Para: ", "Asunto: "),
}
_DATE = re.compile(r"\{\{([+-]\d+)d\}\}")
_QUOTE = re.compile(r"^\[\[quote( outlook)?\]\]$", re.MULTILINE)
_HISTORY = re.compile(r"^\[\[wrote (\d+)d( me)?\]\]\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Said:
    """A turn that can be quoted: its own words, without what it quotes itself."""

    who: str
    address: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What the placeholders of one message may need; `before` are the turns before it, the oldest first."""

    language: str
    zone: ZoneInfo
    values: Mapping[str, str]
    customer: Said
    brand: tuple[str, str]
    subject: str = ""
    before: Sequence[Said] = ()


def date(at: datetime, language: str) -> str:
    """A date without its year, as people write it: `3 November`, `3. November`, `3 de noviembre`."""
    month = _MONTHS[language].split()[at.month - 1]
    return {"en": f"{at.day} {month}", "de": f"{at.day}. {month}", "fr": f"{at.day} {month}"}.get(
        language, f"{at.day} de {month}"
    )


def fill(text: str, letter: Letter) -> str:
    """The text with its names, dates and quotes."""
    at = letter.customer.at.astimezone(letter.zone)
    for name, value in letter.values.items():
        text = text.replace("{{" + name + "}}", value)
    text = _DATE.sub(lambda match: date(at + timedelta(days=int(match[1])), letter.language), text)
    text = _with_history(text, letter)
    if match := _QUOTE.search(text):
        block = _outlook(letter) if match[1] else _nested(letter, list(letter.before))
        text = text[: match.start()] + block + text[match.end() :]
    return text.rstrip()


def own_words(text: str) -> str:
    """What the writer of a filled-in or raw script text wrote themself, without placeholders for quotes."""
    return _QUOTE.split(_HISTORY.split(text)[0])[0].strip()


def _words(said: Said, letter: Letter) -> dict[str, str]:
    at = said.at.astimezone(letter.zone)
    return {
        "day": _DAYS[letter.language].split()[at.weekday()],
        "date": date(at, letter.language),
        "year": str(at.year),
        "time": f"{at:%H:%M}",
        "who": said.who,
        "address": said.address,
        "to": letter.brand[1] if said.address != letter.brand[1] else letter.customer.address,
        "subject": letter.subject,
    }


def _quoted(text: str) -> str:
    return "\n".join(f"> {row}".rstrip() for row in text.splitlines())


def _nested(letter: Letter, before: list[Said]) -> str:
    if not before:
        return ""
    said = before.pop()
    inner = _nested(letter, before)
    body = f"{said.text}\n\n{inner}" if inner else said.text
    return f"{_WROTE[letter.language].format(**_words(said, letter))}\n{_quoted(body)}"


def _outlook(letter: Letter) -> str:
    title, *labels = _BLOCK[letter.language]
    blocks = []
    for said in reversed(letter.before):
        known = _words(said, letter)
        values = (
            f"{said.who} <{said.address}>",
            f"{known['date']} {known['year']} {known['time']}",
            known["to"],
            letter.subject,
        )
        headers = "\n".join(label + value for label, value in zip(labels, values, strict=True))
        blocks.append(f"-----{title}-----\n{headers}\n\n{said.text}")
    return "\n\n".join(blocks)


def _with_history(text: str, letter: Letter) -> str:
    pieces = _HISTORY.split(text)
    own, rest = pieces[0], pieces[1:]
    quoted = ""
    for days, mine, words in reversed(list(zip(rest[::3], rest[1::3], rest[2::3], strict=True))):
        at = letter.customer.at - timedelta(days=int(days), seconds=int(days) * 1117 % 9000)
        who, address = (letter.customer.who, letter.customer.address) if mine else letter.brand
        said = Said(who, address, at, "")
        body = f"{words.strip()}\n\n{quoted}" if quoted else words.strip()
        quoted = f"{_WROTE[letter.language].format(**_words(said, letter))}\n{_quoted(body)}"
    return f"{own}{quoted}" if quoted else own
