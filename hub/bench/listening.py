"""Listening: how many posts a second one core holds against a hundred queries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import cast

from hub.bench.figures import Figure, at_least
from routing.listening import Overheard, decide
from routing.matching import Post, QuerySet, Reading, compile_query
from routing.policy import DEFAULT_POLICY, ListeningRule, read_policy
from routing.query import Query, parse_query
from routing.types import Facts
from sentiment.examples import invented
from sentiment.types import SENTIMENTS, Analysis, Sentiment, SentimentLabel

AREA = "listening"
ROUNDS = 3

# Each subject is watched in each of these ways: 20 × 5 queries.
_SUBJECTS = (
    "refund* money",
    "parcel delivery",
    "courier driver",
    "flight airline",
    "baggage luggage",
    "invoice bill*",
    "password login",
    "voucher coupon",
    "#acme @acme",
    "subscription cancel*",
    "hotel room",
    "sneakers shoes",
    "coffee machine",
    "router internet",
    "points loyalty",
    "app crash*",
    "battery charger",
    "Lieferung Paket",
    "réclamation remboursement",
    "返金 配達",
)
_WAYS = (
    "({0} OR {1}) AND NOT (giveaway OR win OR rt)",
    '{0} NEAR/6 {1} OR "{1} {0}" OR "{0} not working"',
    "({0} AND ({1} OR broken OR late OR lost)) OR (#{2}fail AND followers:>500)",
    "{1} followers:>1000 sentiment:negative -lang:fr",
    '({0} OR {1}) (never OR still OR "no answer" OR ignor* OR scam OR worst) lang:(en OR de OR ja)',
)
_ABROAD = (
    "Mein Paket ist schon wieder nicht angekommen, was für ein Ärger 😡 @acme",
    "Toujours pas de remboursement après ma réclamation… merci pour rien",
    "¿Dónde está mi pedido? Llevo tres días esperando",
    "商品が届きません。返金してください。 #acme",
    "Świetna obsługa, dziękuję! 👍",
)


def queries() -> dict[str, Query]:
    """A hundred, as a brand with a few product lines would keep them."""
    texts = [
        way.format(*subject.split(), subject.split()[0].strip("#@*"))
        for subject in _SUBJECTS
        for way in _WAYS
    ]
    return {text: parse_query(text) for text in texts}


def posts(count: int) -> list[Post]:
    """Invented ones, one in ten in another language than English; always the same ones."""
    draw = Random(count)  # noqa: S311 - a sample, not a secret
    english = [message["text"] for message in invented() if message["voice"] in ("tweet", "review")]
    return [
        Post(
            text=draw.choice(english if draw.random() < 0.9 else _ABROAD),
            language=draw.choice(("en", "en", "en", "de", "fr", None)),
            channel="the firehose",
            authors=(f"@user{number}", f"User {number}"),
            followers=draw.choice((None, 12, 340, 2_500, 80_000)),
            sentiment=draw.choice(SENTIMENTS),
        )
        for number in range(count)
    ]


def _overheard(post: Post) -> Overheard:
    """The same post as the rules of a policy are asked of it."""
    read = Analysis(
        model="",
        language=post.language,
        language_confidence=1.0,
        sentiment=Sentiment(cast("SentimentLabel | None", post.sentiment), 1.0, {}),
        intents=(),
    )
    facts = Facts(post.channel, "social", "first_reply_time", followers=post.followers, analysis=read)
    return Overheard(post.text, post.authors, facts)


def bench_listening(count: int, progress: Callable[[str], None]) -> Iterator[Figure]:
    """Hold `count` posts against a hundred queries, in one thread; the median of three rounds."""
    progress(f"{AREA}: {count:,} posts against 100 queries")
    asked, said = queries(), posts(count)
    index = QuerySet(asked)
    taken, found = [], 0
    for _ in range(ROUNDS):
        began = time.process_time()
        found = sum(len(index.matches(post)) for post in said)
        taken.append(time.process_time() - began)
    one_by_one = said[: count // 10]
    tests = [compile_query(query) for query in asked.values()]
    began = time.process_time()
    for post in one_by_one:
        reading = Reading(post)
        for test in tests:
            test(reading)
    alone = time.process_time() - began
    rate = count / sorted(taken)[ROUNDS // 2]
    policy = read_policy(DEFAULT_POLICY)
    rules = [ListeningRule(name=f"Rule {n}", query=text, then="conversation") for n, text in enumerate(asked)]
    policy = policy.model_copy(update={"listening": (*policy.listening, *rules)})
    heard = [_overheard(post) for post in one_by_one]
    decide(heard[0], policy)  # reads the queries, once
    began = time.process_time()
    for each in heard:
        decide(each, policy)
    decided = len(heard) / (time.process_time() - began)
    yield Figure(AREA, "queries", len(asked), "")
    yield Figure(AREA, "words in a post, mean", sum(len(post.text.split()) for post in said) / count, "")
    yield Figure(AREA, "matches of a post, mean", found / count, "")
    yield at_least(AREA, "posts against all queries, one core", rate, "posts/s", 5000)
    yield at_least(AREA, "the policy's rules with a hundred more", decided, "posts/s", 5000)
    yield Figure(AREA, "the same, every query tested", len(one_by_one) / alone, "posts/s")
