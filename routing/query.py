"""Reading a boolean query: words, phrases, AND, OR, NOT, NEAR, wildcards, fields; see docs/queries.md.

The grammar is Lucene's, parsed by luqum; this says what a query means, and what is wrong with one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from luqum import parser, tree
from luqum.exceptions import ParseError
from luqum.head_tail import TokenValue

from routing.words import fold, patterns
from sentiment.types import INTENTS, SENTIMENTS

LONGEST = 4000
DEEPEST = 40
FURTHEST = 100
FIELDS = ("lang", "channel", "from", "followers", "sentiment", "intent")
FieldName = Literal["lang", "channel", "from", "followers", "sentiment", "intent"]

_NEAR = re.compile(r"NEAR/(\d{1,9})")
_NUMBER = re.compile(r"(\d{1,12})([km]?)")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_THOUSANDS = {"": 1, "k": 1000, "m": 1_000_000}
# What people write who know other languages of queries.
_MEANT = {"&&": "AND", "||": "OR", "!": "NOT", "|": "OR", "&": "AND"}


class QueryError(ValueError):
    """The query means nothing; `position` counts characters from 0, `message` says what to change."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (at character {position + 1})")
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words one after the other; each may hold `*` (any letters) and `?` (one)."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """One phrase of each group, in any order, in a stretch that has at most `others` words more than they."""

    groups: tuple[tuple[Phrase, ...], ...]
    others: int

    @property
    def stretch(self) -> int:
        """How many words the stretch may have."""
        return self.others + sum(max(len(phrase.words) for phrase in group) for group in self.groups)


@dataclass(frozen=True, slots=True)
class Is:
    """A field has this value, folded, in which `*` and `?` stand as in words."""

    field: FieldName
    value: str


@dataclass(frozen=True, slots=True)
class Within:
    """A number is known and in this range, ends included."""

    field: FieldName
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them."""

    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Everything else."""

    part: Query


Query = Phrase | Near | Is | Within | And | Or | Not


def parse_query(text: str) -> Query:
    """Read a query. Raises: QueryError."""
    if len(text) > LONGEST:
        raise QueryError(f"the query has more than {LONGEST} characters", LONGEST)
    if not text.strip():
        raise QueryError("the query is empty", 0)
    return _Reader(text).read(_tree(text), None, 0)


def _tree(text: str) -> tree.Item:
    lexer = parser.lexer.clone()
    lexer.input(text)
    try:
        tokens = _infix(list(iter(lexer.token, None)), text)
        # PLY's parser keeps what it is doing in locals: one serves all threads, each with its own lexer.
        return parser.parse(None, lexer=lexer, tokenfunc=iter([*tokens, None]).__next__)
    except ParseError as error:
        raise _said_plainly(str(error), text) from None


def _said_plainly(said: str, text: str) -> QueryError:
    """luqum's words for what it cannot read, in ours."""
    found = re.search(r"at position (\d+)", said.rpartition("\n")[2])
    if found is None:
        opened = text.rfind("(") if text.count("(") > text.count(")") else -1
        if opened >= 0:
            return QueryError("this ( is never closed", opened)
        return QueryError("something is missing at the end", len(text.rstrip()))
    position = int(found[1])
    if text[position] == '"':
        return QueryError("this quotation mark is never closed", position)
    if text[position] == ")":
        return QueryError("nothing stands before this )", position)
    word = text[position:].split(maxsplit=1)[0]
    if word in ("AND", "OR"):
        return QueryError(f"{word} stands between two things: here one is missing", position)
    return QueryError(f"{text[position]!r} cannot stand here; put it in quotation marks", position)


def _infix(tokens: list[Any], text: str) -> list[Any]:
    """`a NEAR/5 b` as luqum can read it: `NEAR/5:(a b)`; every token keeps its position."""
    index = 0
    while index < len(tokens):
        near = tokens[index]
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if near.type != "TERM" or not _NEAR.fullmatch(near.value.value):
            index += 1
            continue
        if following is not None and following.type == "COLUMN":
            index += 1
            continue
        first, last = _operand(tokens, index, -1), _operand(tokens, index, 1)
        new = [_like(near, kind, sign) for kind, sign in (("COLUMN", ":"), ("LPAREN", "("), ("RPAREN", ")"))]
        tokens[first : last + 1] = [
            near,
            *new[:2],
            *tokens[first:index],
            *tokens[index + 1 : last + 1],
            new[2],
        ]
        index = last + 4
    return tokens


def _operand(tokens: list[Any], near: int, step: Literal[-1, 1]) -> int:
    """Where the word, phrase or group on one side of NEAR ends that is not NEAR itself."""
    at = near + step
    opens, closes = ("RPAREN", "LPAREN") if step < 0 else ("LPAREN", "RPAREN")
    problem = QueryError(
        f"{tokens[near].value.value} stands between two words, phrases or groups in parentheses",
        tokens[near].lexpos,
    )
    if not 0 <= at < len(tokens) or tokens[at].type not in ("TERM", "PHRASE", opens):
        raise problem
    depth = 0
    while True:
        if not 0 <= at < len(tokens):
            raise problem
        depth += (tokens[at].type == opens) - (tokens[at].type == closes)
        if depth == 0:
            break
        at += step
    beside = tokens[at + step] if 0 <= at + step < len(tokens) else None
    if beside is not None and beside.type == "COLUMN":
        raise problem
    if beside is not None and (
        beside.type == "APPROX" or (beside.type == "TERM" and _NEAR.fullmatch(beside.value.value))
    ):
        raise QueryError('three and more stand near each other so: "a b c"~5', tokens[near].lexpos)
    return at


def _like(token: Any, kind: str, sign: str) -> Any:
    new = parser.lex.LexToken()
    new.type, new.value, new.lineno, new.lexpos = kind, TokenValue(sign), token.lineno, token.lexpos
    new.value.pos, new.value.size = token.lexpos, 0
    return new


class _Reader:
    """From luqum's tree to ours."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, item: Any, field: FieldName | None, depth: int) -> Query:
        if depth > DEEPEST:
            raise QueryError(f"more than {DEEPEST} things stand within each other", self._at(item))
        match item:
            case tree.BaseGroup():
                return self.read(item.expr, field, depth + 1)
            case tree.UnknownOperation():
                for each in item.operands:
                    if isinstance(each, tree.OrOperation):
                        message = "OR beside words without AND can be read in two ways: add parentheses"
                        raise QueryError(message, self._at(each))
                return And(tuple(self.read(each, field, depth + 1) for each in item.operands))
            case tree.AndOperation():
                return And(tuple(self.read(each, field, depth + 1) for each in item.operands))
            case tree.OrOperation():
                return Or(tuple(self.read(each, field, depth + 1) for each in item.operands))
            case tree.Not() | tree.Prohibit():
                return Not(self.read(item.a, field, depth + 1))
            case tree.Plus():
                return self.read(item.a, field, depth + 1)
            case tree.SearchField():
                return self._field(item, field, depth)
            case tree.From() | tree.To() | tree.Range():
                return self._range(item, field)
            case tree.Word() | tree.Phrase() if field is not None:
                return self._value(item, field)
            case tree.Word() | tree.Phrase():
                return self._phrase(item)
            case tree.Proximity() if field is None:
                groups = tuple((Phrase((word,)),) for word in self._phrase(item.term).words)
                return self._near(groups, int(item.degree), item)
        raise self._unsupported(item)

    def _unsupported(self, item: Any) -> QueryError:
        match item:
            case tree.Fuzzy():
                message = "~ stands after a phrase; for other spellings of a word write * or ?"
            case tree.Boost():
                message = "^ has no meaning here: a message matches or it does not"
            case tree.Regex():
                message = "a regular expression cannot stand here; put / in quotation marks"
            case _:
                message = "this cannot stand here"
        return QueryError(message, self._at(item))

    def _phrase(self, item: Any) -> Phrase:
        raw = item.value
        if isinstance(item, tree.Phrase):
            words = patterns(raw[1:-1])
        else:
            words = patterns(raw)
            # `返金*`: the signs before it are words of their own, and anything may follow them anyway.
            while len(words) > 1 and not words[-1].strip("*"):
                words.pop()
        if raw.startswith(tuple(_MEANT)):
            sign = next(sign for sign in _MEANT if raw.startswith(sign))
            raise QueryError(f"{sign} has no meaning here; write {_MEANT[sign]}", self._at(item))
        if not words:
            raise QueryError(f"{raw} holds no word", self._at(item))
        for word in words:
            if not word.strip("*?#@"):
                raise QueryError(f"{word} alone fits every word", self._at(item))
            if word.count("*") > 4:
                raise QueryError("more than four * in a word", self._at(item))
        return Phrase(tuple(words))

    def _near(self, groups: Sequence[tuple[Phrase, ...]], others: int, item: Any) -> Near:
        if len(groups) < 2:
            raise QueryError("one word alone is near to nothing", self._at(item))
        if others > FURTHEST:
            raise QueryError(f"words that are more than {FURTHEST} apart are not near", self._at(item))
        return Near(tuple(groups), others)

    def _group(self, item: Any, depth: int) -> tuple[Phrase, ...]:
        """The words and phrases of one side of NEAR."""
        match item:
            case tree.BaseGroup() if depth < DEEPEST:
                return self._group(item.expr, depth + 1)
            case tree.OrOperation():
                return tuple(phrase for each in item.operands for phrase in self._group(each, depth + 1))
            case tree.Word() | tree.Phrase():
                return (self._phrase(item),)
        message = "NEAR stands between words, phrases, or such joined by OR in parentheses"
        raise QueryError(message, self._at(item))

    def _field(self, item: Any, field: FieldName | None, depth: int) -> Query:
        at = self._at(item)
        near = _NEAR.fullmatch(item.name)
        if near is not None and field is None:
            inner = item.expr.expr if isinstance(item.expr, tree.FieldGroup) else item.expr
            sides = inner.operands if isinstance(inner, tree.UnknownOperation) else (inner,)
            return self._near([self._group(side, depth) for side in sides], int(near[1]), item)
        if field is not None:
            raise QueryError(f"{item.name} stands within {field}", at)
        name = next((known for known in FIELDS if known == item.name.casefold()), None)
        if name is None:
            if re.match(r"https?$", item.name):
                raise QueryError("put an address in quotation marks", at)
            raise QueryError(f"no field {item.name!r}{_suggest(item.name, FIELDS)}", at)
        return self.read(item.expr, name, depth + 1)  # type: ignore[arg-type]

    def _value(self, item: Any, field: FieldName) -> Query:
        raw = item.value[1:-1] if isinstance(item, tree.Phrase) else item.value
        at = self._at(item)
        if field == "followers":
            number = self._number(item)
            return Within(field, number, number)
        value = " ".join(fold(raw).split())
        if field in ("channel", "from"):
            value = value.removeprefix("@") if field == "from" else value
            if not value:
                raise QueryError(f"{field} needs a name", at)
            return Is(field, value)
        known: tuple[str, ...] = {"sentiment": SENTIMENTS, "intent": INTENTS}.get(field, ())
        if field == "lang" and not _LANGUAGE.fullmatch(value):
            raise QueryError(f"{raw!r} is no code of a language such as en or de", at)
        if known and value not in known:
            raise QueryError(f"no {field} {raw!r}{_suggest(value, known)}", at)
        return Is(field, value)

    def _range(self, item: Any, field: FieldName | None) -> Query:
        if field != "followers":
            name = f"{field} has no order" if field else "a comparison needs a field"
            raise QueryError(f"{name}: write such as followers:>1000", self._at(item))
        match item:
            case tree.From():
                return Within(field, self._number(item.a) + (not item.include), None)
            case tree.To():
                return Within(field, None, self._number(item.a) - (not item.include))
        low = self._number(item.low) + (not item.include_low)
        high = self._number(item.high) - (not item.include_high)
        if low > high:
            raise QueryError("nothing lies in this range", self._at(item))
        return Within(field, low, high)

    def _number(self, item: Any) -> int:
        raw = getattr(item, "value", "").strip('"')
        found = _NUMBER.fullmatch(raw.casefold())
        if found is None:
            raise QueryError(f"{raw or 'this'} is no whole number such as 1000 or 10k", self._at(item))
        return int(found[1]) * _THOUSANDS[found[2]]

    def _at(self, item: Any) -> int:
        """Where a thing begins; spaces before it are not part of it."""
        position = min(item.pos or 0, len(self.text))
        return position + len(self.text[position:]) - len(self.text[position:].lstrip())


def _suggest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name.casefold(), known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
