"""What a customer wrote now, apart from the history that their mail program quotes and their signature."""

from __future__ import annotations

from dataclasses import dataclass

from mailparser_reply import EmailReplyParser

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
    if len(text) > LONGEST:
        return Parts(text, "")
    newest = EmailReplyParser(languages=LANGUAGES).read(text=text).replies[0]
    said = str(newest.body).strip()
    if not said or said == text.strip():
        return Parts(text, "")
    start = text.find(said)
    if start < 0:
        return Parts(text, "")
    return Parts(said, text[start + len(said) :].strip("\n"))
