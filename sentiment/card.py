"""The model card: figures in, Markdown and pictures out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sentiment import goals
from sentiment.charts import chart

CARD = Path(__file__).parent / "MODEL_CARD.md"
IMAGES = Path(__file__).parents[1] / "docs" / "images"

Figures = Mapping[str, Any]

_LANGUAGES = {
    "ar": "Arabic",
    "en": "English",
    "fr": "French",
    "de": "German",
    "hi": "Hindi (mostly in Latin letters)",
    "it": "Italian",
    "pt": "Portuguese",
    "es": "Spanish",
}
_SETS = {
    "complaints19": "complaints19, tweets to brands",
    "suggestion19": "suggestion19 test, forum posts",
    "appreviews": "appreviews, reviews of apps",
    "tickets_multilang": "tickets_multilang, English mails",
}
_KINDS = {
    "topic": "topic (first intent)",
    "complaint": "complaint or not",
    "sentiment": "sentiment",
    "emotion": "emotion",
    "sarcasm": "sarcasm",
    "expects_reply": "expects a reply",
}


def render(figures: Figures) -> str:
    """The card of what `sentiment.evaluate.measure` measured."""
    missed = goals.missed(figures)
    return _TEMPLATE.format(
        version=figures["model"]["version"],
        megabytes=figures["model"]["bytes"] / 1e6,
        goals=goals.table(figures),
        missed="All goals are reached." if not missed else f"Not reached: {'; '.join(missed)}.",
        sources=goals.SOURCES.replace("\n[", "\n\n["),
        mood=figures["sentiment"],
        surest=_surest(figures),
        thresholds=_thresholds(figures),
        invented=figures["invented"],
        invented_calibration=_invented_calibration(figures),
        invented_f1=_invented_f1(figures),
        agreement=_agreement(figures),
        real=_real(figures),
        other=figures["real"]["languages"].get("other", {"rows": 0, "silent": 0}),
        real_all=figures["real"]["all"],
        tasks=figures["tasks"],
        lessons=_lessons(figures),
        languages=_languages(figures),
        behaviour=_behaviour(figures),
        unseen=_unseen(figures),
        speed=_speed(figures["speed"]),
    )


def pictures(figures: Figures) -> dict[str, str]:
    """SVG files by name."""
    lines = _closer(figures)
    return {
        "reliability.svg": chart(
            "Reliability diagram: how often the model is right by how sure it is",
            "confidence (dots: the larger, the more messages)",
            "share that is right",
            {
                name: [
                    (b["confidence"], b["accuracy"], b["rows"] / line["rows"]) for b in line["reliability"]
                ]
                for name, line in lines.items()
            },
            diagonal=True,
        ),
        "risk_coverage.svg": chart(
            "Risk-coverage curve: how often the model is right where it is surest",
            "coverage: the surest share of all messages",
            "share that is right",
            {name: [(x, y, 0.0) for x, y in line["curve"]] for name, line in lines.items()},
            lowest=0.5,
        ),
    }


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown: the first column to the left, the others to the right."""
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _closer(figures: Figures) -> dict[str, Mapping[str, Any]]:
    """Where the confidences are looked at closely."""
    real = figures["real"]["all"]
    return {
        "sentiment, TweetEval test": figures["sentiment"],
        "sentiment, real messages": real["sentiment"],
        "topic, real messages": real["topic"],
    }


def _surest(figures: Figures) -> str:
    closer = _closer(figures)
    shares = [
        [
            f"the surest {100 * float(share):.0f} %",
            *(_share(found["surest"][share]) for found in closer.values()),
        ]
        for share in figures["sentiment"]["surest"]
    ]
    whole = [
        [title, *(_share(found[key]) for found in closer.values())]
        for title, key in (
            ("area under the risk-coverage curve", "risk_coverage_area"),
            ("calibration error", "calibration_error"),
            ("of which chance explains", "calibration_noise"),
        )
    ]
    return _table(["right of", *closer], [*shares, *whole])


def _thresholds(figures: Figures) -> str:
    return _table(
        ["head, on", "said from", "of so many", "right where it is said"],
        (
            [name, f"{said['threshold']:.2f}", _share(said["share"]), _share(said["accuracy"])]
            for name, said in ((name, found["spoken"]) for name, found in _closer(figures).items())
        ),
    )


def _invented_calibration(figures: Figures) -> str:
    return _table(
        ["head", "calibration error", "of which chance explains"],
        (
            [name, _share(found["calibration_error"]), _share(found["calibration_noise"])]
            for name, found in figures["invented"]["calibration"].items()
        ),
    )


def _invented_f1(figures: Figures) -> str:
    found, least = figures["invented"]["intents"]["f1"], figures["model"]["thresholds"]["intents"]
    rows = zip(found.items(), least, strict=True)
    return _table(["intent", "F1", "said from"], ([name, f"{f1:.2f}", f"{x:.2f}"] for (name, f1), x in rows))


def _agreement(figures: Figures) -> str:
    sources = figures["agreement"]
    return _table(
        ["label", *(f"{name}, {found['rows']}" for name, found in sources.items())],
        (
            [title, *(f"{f[kind]['agreed']:.3f}, κ {f[kind]['kappa']:.2f}" for f in sources.values())]
            for kind, title in _KINDS.items()
        ),
    )


def _real(figures: Figures) -> str:
    rows = []
    for source, found in figures["real"].items():
        for who, title in goals.READERS.items() if source != "languages" else ():
            said = found["judged"][who]
            topic, mood = said.get("topic", {}), said.get("sentiment", {})
            values = (
                *(topic.get(each) for each in ("acceptable", "one_of_two", "right")),
                said.get("complaint_f1"),
                *(mood.get(each) for each in ("macro_f1", "macro_recall", "accuracy")),
                said.get("reply_accuracy"),
            )
            rows.append([f"{source}, {found['rows']}, by {title}", *map(_share, values)])
    columns = ("messages", "topic acceptable", "one of two", "topic right", "complaint F1")
    return _table([*columns, "sentiment macro-F1", "macro recall", "accuracy", "reply accuracy"], rows)


def _lessons(figures: Figures) -> str:
    columns = ("found", "mistaken", "neighbours_named", "others_named", "calibration_error")
    return _table(
        ["intents taught, examples each", *(column.replace("_", " ") for column in columns)],
        (
            [f"{row['intents']}, {row['examples']}", *(_share(row[column]) for column in columns)]
            for row in figures["taught"]["lessons"]
        ),
    )


def _languages(figures: Figures) -> str:
    columns = ("found", "taken_for_another", "silent", "accuracy_where_spoken", "macro_recall_if_forced")
    return _table(
        ["language", *(column.replace("_", " ") for column in columns)],
        (
            [_LANGUAGES[code], *(_share(row[column]) for column in columns)]
            for code, row in figures["languages"].items()
        ),
    )


def _behaviour(figures: Figures) -> str:
    groups = figures["behaviour"].items()
    return _table(
        ["what is tried", "cases", "failed"],
        ([name, str(group["cases"]), f"{100 * group['failed']:.0f} %"] for name, group in groups),
    )


def _unseen(figures: Figures) -> str:
    return _table(
        ["set and intent", "rows", "share", "ranking", "F1", "F1 of always yes"],
        (
            [
                f"{_SETS[name]}: {intent}",
                f"{found['rows']:,}",
                f"{row['share']:.2f}",
                _share(row["ranking"]),
                f"{row['f1']:.2f}",
                f"{row['f1_of_always_yes']:.2f}",
            ]
            for name, found in figures["unseen"].items()
            for intent, row in found["intents"].items()
        ),
    )


def _speed(speed: Mapping[str, Any]) -> str:
    fast = speed["fp32"]
    words = (
        f"{fast:.0f} messages a second of one core in fp32 (mean {speed['pieces']:.0f} word pieces), "
        f"{fast / speed['pipelines']:.1f} times three `transformers` pipelines and "
        f"{fast / speed['zero_shot']:.0f} times a zero-shot classifier on the same encoder, "
        f"{100 * speed['flops'] / speed['peak']:.0f} % of the core's measured peak; a short message alone "
        f"takes {1000 * speed['latency_seconds']:.0f} ms (95th percentile)."
    )
    if speed["bf16"] is None:
        return words
    return (
        f"{words} In bf16 {speed['bf16']:.0f} a second ({speed['bf16'] / speed['pipelines']:.1f} times), "
        f"with {100 * speed['bf16_agreement']:.1f} % of the labels the same."
    )


_TEMPLATE = (Path(__file__).parent / "data" / "model_card.md").read_text(encoding="utf-8")
