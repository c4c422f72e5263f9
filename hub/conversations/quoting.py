"""What a customer wrote now, apart from quoted history, signature and reply marks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailparser_reply import EmailReplyParser

# What mail programs put before the subject of an answer or a forwarded mail, in the languages we meet.
_REPLY_MARK = re.compile(r"^\s*((re|aw|antw|fwd?|wg|tr|rv|sv|vs)\s*(\[\d+\])?\s*:\s*)+", re.IGNORECASE)
# How any of them begins to quote; where none of these is there, there is nothing to part.
_MAY_QUOTE = re.compile(
    r"^\s*(>|--|__|-{3,})|wrote|schrieb|écrit|escribi|scritto|schreef|napisał|^(From|Von|De|Da|Van|Od):",
    re.MULTILINE,
)
LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl"]
# Above this the parser's regular expressions take too long, and the whole is shown as said.
LONGEST = 50_000


@dataclass(frozen=True, slots=True)
class Parts:
    """`said` is new; `quoted` the signature and the history below it, empty where there is none."""

    said: str
    quoted: str


def split_quoted(text: str) -> Parts:
    """Part a mail's text; a text that is nothing but history counts as said."""
    if len(text) > LONGEST or not _MAY_QUOTE.search(text):
        return Parts(text, "")
    newest = EmailReplyParser(languages=LANGUAGES).read(text=text).replies[0]
    said = str(newest.body).strip()
    if not said or said == text.strip():
        return Parts(text, "")
    start = text.find(said)
    if start < 0:
        return Parts(text, "")
    return Parts(said, text[start + len(said) :].strip("\n"))


def is_reply(subject: str) -> bool:
    """Whether a subject is marked as an answer or a forwarded mail."""
    return _REPLY_MARK.match(subject) is not None


def topic(subject: str | None) -> str:
    """A subject without its reply marks, for comparing."""
    return _REPLY_MARK.sub("", subject or "").strip().lower()
