"""What stands in a message by custom: salutation, closing formula, the numbers of orders and cases.

They say nothing of mood or wish, and yet a reader leans on them: a "Dear Sir or Madam" made a complaint
milder, an order number an indifferent wish out of it. English ones, and salutations that English messages
borrow. All expressions are bounded, so that no text takes long.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

_SALUTATION = re.compile(
    r"""\s{0,4}(?:@\w{1,64}[\s,:.]{1,3}){0,8}
    (?P<said>(?:
      (?:hi+|hey+|hello+|hiya|howdy|greetings|hallo|hola|bonjour|ol[aá]|ciao)\b
      (?:\s{1,4}(?:there|all|everyone|everybody|folks|guys|again|team)\b){0,2}
      (?=\s{0,4}[,!.:;\n–—-]|\s{1,4}(?-i:[a-z]|I\b)|\s{1,4}@)
    | (?:hi+|hey+|hello+|hallo|hola|bonjour|ol[aá]|dear|good\s{1,4}(?:morning|afternoon|evening|day)
      |guten\s{1,4}tag|buenos\s{1,4}d[ií]as|bom\s{1,4}dia|buongiorno)
      (?:\s{1,4}(?:sir|madam|ma'?am|sirs|mr|mrs|ms|or|and|all|team|there|everyone|customer|support|service|care|
      services|department|ladies|gentlemen|the|friends|hotline|help|desk|(?-i:[A-Z])[\w&'’.-]{0,20})){0,6}
      (?=[\t ]{0,4}[,:\n–—])
    | to\s{1,4}whom\s{1,4}it\s{1,4}may\s{1,4}concern
    )[\s,.!:;–—-]{0,6})""",
    re.IGNORECASE | re.VERBOSE,
)
_CLOSING = re.compile(
    r"""(?:(?<=[.,!?)"\n])|(?<=[.,!?)"]\ ))[\s–—-]{0,4}
    (?P<said>(?:
      (?:with\s{1,4})?(?:my\s{1,4})?(?:(?:very\s{1,4})?(?:kind|best|warm)(?:est)?\s{1,4})?(?:regards|wishes)
    | yours\s{1,4}(?:sincerely|faithfully|truly) | (?:most\s{1,4})?sincerely(?:\s{1,4}yours)?
    | respectfully(?:\s{1,4}yours)?
    )(?:[\s,.!–—-]{1,6}(?-i:[A-Z])[\w'’.-]{0,20}){0,5}[\s,.!]{0,6})\Z""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_CLOSING = 200
_NAMED = r"""(?:orders?|booking|reservation|reference|ref|case|ticket|claim|invoice|confirmation|tracking
|shipment|parcel|package|policy|contract|account|customer|member|membership|incident|transaction|return|rma)"""
_OF_IT = r"""(?:\s{1,4}(?:number|no|nr|num|id|code|ref|reference)\b)?\.?\s{0,4}
(?:is\s{1,4}|was\s{1,4}|[:\#=]\s{0,4}){0,2}"""
_NUMBER = r"(?=(?:[A-Z/_-]{0,8}\d){4})[A-Z\d](?:[A-Z\d/_-]{2,28}[A-Z\d])\b"
_APART = re.compile(
    rf"""(?P<said>[(\[]\s{{0,4}}{_NAMED}{_OF_IT}{_NUMBER}\s{{0,4}}[)\]])
    |(?:\A|(?<=[.!?\n])|(?<=[.!?]\ ))(?P<alone>(?:(?:my|our|the|your)\s{{1,4}})?{_NAMED}{_OF_IT}{_NUMBER}
    [\t ]{{0,4}}(?:[.;:,–—-]+(?:\s|\Z)|\n|\Z))""",
    re.IGNORECASE | re.VERBOSE,
)
_REFERENCE = re.compile(rf"(?<!in\s)\b{_NAMED}(?P<said>{_OF_IT}{_NUMBER})", re.IGNORECASE | re.VERBOSE)


def formulas(text: str, start: int, end: int) -> list[Span]:
    """Where they stand in `text[start:end]`, in order and apart from each other. The salutation is looked for
    at the text's own beginning only, after the handles that it opens with, and the closing formula at its
    end. A number goes with what it is called by ("Order 4471902.") where that stands apart, else alone."""
    found = [match.span(match.lastgroup or 0) for match in _APART.finditer(text, start, end)]
    found += [match.span("said") for match in _REFERENCE.finditer(text, start, end)]
    if start == 0 and (salutation := _SALUTATION.match(text, 0, end)):
        found.append(salutation.span("said"))
    if end == len(text) and (closing := _CLOSING.search(text, max(start, end - _LONGEST_CLOSING), end)):
        found.append(closing.span("said"))
    apart: list[Span] = []
    for first, last in sorted(found, key=lambda span: (span[0], -span[1])):
        if not apart or first >= apart[-1][1]:
            apart.append((first, last))
    return apart
