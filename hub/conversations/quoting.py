"""What a customer wrote now, apart from quoted history, footer and reply marks.

Read line by line, in time proportional to the text. The parsers that there are match whole mails by regular
expressions: a line of 24,000 characters takes them half a minute, and a list with hyphens or "Thanks, but it
is broken" ends the mail for them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hub.conversations.footers import footer

LONGEST_SUBJECT = 1000
# A longer text is no mail that somebody wrote.
MOST_LINES = 5000
# What mail programs put before the subject of an answer or a forwarded mail, in the languages we meet.
_REPLY_MARK = re.compile(
    r"\s*(?:(?:re|aw|antw|antwort|fwd?|wg|tr|rv|sv|vs|odp)(?:\[\d{1,3}\]|\(\d{1,3}\)|\^\d{1,3})?\s*:\s*)+",
    re.IGNORECASE,
)

# The line above a quotation. It names a day, ends in a colon, and may be broken into three lines.
_INTRO_LINES = 3
_INTRO_LENGTH = 300
_INTRO = re.compile(
    r"""(?=.*\d)(?:
        On\b.+\bwrote | Am\b.+\bschrieb\b.* | .+\bschrieb\ am\b.+ | Le\b.+\ba\ écrit | El\b.+\bescribió
        | Em\b.+\bescreveu | Il\b.+\bha\ scritto | Op\b.+\bschreef\b.* | Den\b.+\bskrev\b.*
        | (?:W\ dniu|Dnia)\b.+(?:pisze|napisał\(a\)|napisała?)
    )\ ?:""",
    re.IGNORECASE | re.VERBOSE,
)
_INTRO_BEGINS = re.compile(
    r"(?:On|Am|Le|El|Em|Il|Op|Den|W dniu|Dnia)\b|.{0,200}\bschrieb am\b", re.IGNORECASE
)
# "-----Original Message-----" in any language, and the headers that some programs copy above a quotation.
_SEPARATOR = re.compile(r"-{4,} ?\w[^-]{2,60} ?-{4,}|_{20,}")
_FROM = re.compile(r"\*?(?:From|Von|De|Da|Van|Od|Från|Fra)\*? ?:", re.IGNORECASE)
_HEADER = re.compile(
    r"""\*?(?:
        Sent|Date|To|Cc|Subject | Gesendet|Datum|An|Betreff | Envoyé|À|Objet | Enviado|Fecha|Para|Asunto
        | Inviato|Data|A|Oggetto | Verzonden|Aan|Onderwerp | Wysłano|Do|Temat | Skickat|Till|Ämne
        | Sendt|Til|Emne | Assunto|Enviada
    )\*?\ ?:""",
    re.IGNORECASE | re.VERBOSE,
)
_HEADER_LINES = 6
# Where a mail program left a picture out.
_PICTURE = re.compile(
    r"!?\[(?:cid|image|inline image|bild|imagen?|immagine|afbeelding)\b[^\]\n]{0,300}\]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Parts:
    """`said` is new; `quoted` what stands below it, footer and history, empty where there is none."""

    said: str
    quoted: str


def split_quoted(text: str) -> Parts:
    """Part a mail's text; a text that is nothing but history counts as said."""
    lines = text.splitlines(keepends=True)
    if len(lines) > MOST_LINES:
        return Parts(text, "")
    bare = [line.strip() for line in lines]
    history = _history(bare)
    end = footer(bare, history)
    if history == len(bare) and not any(bare[end:]):
        return Parts(text, "")
    said = "".join(lines[:end]).rstrip()
    if not said.strip():
        return Parts(text, "")
    return Parts(said, "".join(lines[end:]).strip("\r\n"))


def own_words(text: str) -> str:
    """What is left of a mail's text without history, footer, what is quoted between answers, and the marks
    of pictures; of a mail that was passed on without a word, what was passed on."""
    said = split_quoted(text).said
    bare = [line.strip() for line in _PICTURE.sub(" ", said).splitlines()]
    kept: list[str] = []
    at = 0
    while at < len(bare):
        intro = _intro_lines(bare, at)
        if intro and bare[at + intro : at + intro + 1] and bare[at + intro].startswith(">"):
            at += intro
        elif bare[at].startswith(">") or _SEPARATOR.fullmatch(bare[at][:100]):
            at += 1
        elif _is_header_block(bare, at):
            at += 1
            while at < len(bare) and _HEADER.match(bare[at]):
                at += 1
        else:
            kept.append(bare[at])
            at += 1
    return "\n".join(kept).strip() or said


def is_reply(subject: str) -> bool:
    """Whether a subject is marked as an answer or a forwarded mail."""
    return _REPLY_MARK.match(subject[:LONGEST_SUBJECT]) is not None


def topic(subject: str | None) -> str:
    """A subject without its reply marks, for comparing."""
    said = (subject or "")[:LONGEST_SUBJECT]
    mark = _REPLY_MARK.match(said)
    return said[mark.end() if mark else 0 :].strip().lower()


def _history(bare: Sequence[str]) -> int:
    """The line from which on everything is history; their number where there is none."""
    # Behind this line there are only quoted lines.
    trailing = len(bare)
    while trailing and (not bare[trailing - 1] or bare[trailing - 1].startswith(">")):
        trailing -= 1
    for at, line in enumerate(bare[: trailing + 1]):
        if at == trailing:
            return trailing if any(bare[trailing:]) else len(bare)
        if _SEPARATOR.fullmatch(line[:100]) and _is_history_below(bare, at + 1, line):
            return at
        if _is_header_block(bare, at):
            return at
        intro = _intro_lines(bare, at)
        if intro and (at + intro >= trailing or not _quotes_next(bare, at + intro)):
            return at
    return len(bare)


def _is_history_below(bare: Sequence[str], at: int, line: str) -> bool:
    """A line of words between dashes says so itself; a bare line only with headers below it."""
    below = next((n for n in range(at, min(at + 3, len(bare))) if bare[n]), len(bare))
    return not line.startswith("_") or _is_header_block(bare, below)


def _is_header_block(bare: Sequence[str], at: int) -> bool:
    if at >= len(bare) or not _FROM.match(bare[at]):
        return False
    following = [line for line in bare[at + 1 : at + 1 + _HEADER_LINES] if _HEADER.match(line)]
    return len(following) >= 2


def _intro_lines(bare: Sequence[str], at: int) -> int:
    """How many lines the one above a quotation takes, where it begins here; else 0."""
    if not _INTRO_BEGINS.match(bare[at][:_INTRO_LENGTH]):
        return 0
    joined = ""
    for count in range(1, _INTRO_LINES + 1):
        line = bare[at + count - 1] if at + count <= len(bare) else ""
        joined = f"{joined} {line}".strip()
        if not line or len(joined) > _INTRO_LENGTH:
            return 0
        if _INTRO.fullmatch(joined):
            return count
    return 0


def _quotes_next(bare: Sequence[str], at: int) -> bool:
    following = next((line for line in bare[at : at + 3] if line), "")
    return following.startswith(">")
