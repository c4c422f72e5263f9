"""The model card's first table: what was to be reached, what is, and what others reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
READERS = {
    "vader": "VADER",
    "textblob": "TextBlob",
    "counted": "TF-IDF + LR",
    "original": "original + LR",
    "model": "this model",
}
"""Who is measured, by the name that the figures have for them."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One row. `values` finds each reader's figure; `bound` is what the model should reach, or stay below
    where `less`; None where nothing was asked."""

    title: str
    values: Callable[[Figures], Mapping[str, float]]
    bound: float | None = None
    less: bool = False
    published: str = "–"

    def outcome(self, figures: Figures) -> str:
        """The goal, and whether it is reached."""
        if self.bound is None:
            return "–"
        short = self.bound - self.values(figures)["model"]
        short = -short if self.less else short
        wanted = f"{'≤' if self.less else '≥'} {self.bound:.3f}"
        return f"{wanted}, reached" if short <= 0 else f"{wanted}, **missed by {short:.3f}**"


def _task(name: str) -> Callable[[Figures], Mapping[str, float]]:
    return lambda figures: {
        who: figures["tasks"][name][who] for who in READERS if who in figures["tasks"][name]
    }


def _at(*path: str) -> Callable[[Figures], Mapping[str, float]]:
    """The model's figure alone, at a path of keys."""

    def found(figures: Any) -> Mapping[str, float]:
        for key in path:
            figures = figures[key]
        return {"model": figures}

    return found


def _real(source: str, kind: str, figure: str) -> Callable[[Figures], Mapping[str, float]]:
    def found(figures: Figures) -> Mapping[str, float]:
        judged = figures["real"][source]["judged"]
        return {who: judged[who][kind][figure] for who in READERS if kind in judged.get(who, {})}

    return found


def _taught(figures: Figures) -> Mapping[str, float]:
    """The model by the product's own way of teaching."""
    others = _task("banking77_10shot")(figures)
    return {**others, "model": figures["taught"]["together"]["accuracy"]}


def _out_of_scope(figures: Figures) -> Mapping[str, float]:
    task = figures["tasks"]["clinc150"]
    return {who: task[f"{who}_out_of_scope_recall"] for who in ("model", "original")}


GOALS = (
    Goal(
        "TweetEval sentiment, macro recall",
        _task("tweeteval_sentiment"),
        0.725,
        published="RoBERTa-base 0.713, retrained 0.728, BERTweet 0.734, TimeLMs 0.737 [1]",
    ),
    Goal("TweetEval sentiment, calibration error", _at("sentiment", "calibration_error"), 0.015, less=True),
    Goal("TweetEval sentiment, accuracy of the surest 70 %", _at("sentiment", "surest", "0.7"), 0.85),
    Goal(
        "TweetEval emotion, macro-F1",
        _task("tweeteval_emotion"),
        0.785,
        published="RoBERTa-base 0.761, retrained 0.785, BERTweet 0.793, TimeLMs 0.802 [1]",
    ),
    Goal("GoEmotions, macro-F1 of 28", _task("goemotions"), 0.45, published="BERT-base 0.46 [2]"),
    Goal(
        "TweetEval irony, F1 of the ironic",
        _task("tweeteval_irony"),
        0.65,
        published="RoBERTa-base 0.597, retrained 0.617, TimeLMs 0.645, BERTweet 0.821 [1]",
    ),
    Goal(
        "TweetEval offensive, macro-F1",
        _task("tweeteval_offensive"),
        0.80,
        published="RoBERTa-base 0.795, retrained 0.805, BERTweet 0.795, TimeLMs 0.822 [1]",
    ),
    Goal("iSarcasm, F1 of the sarcastic", _task("isarcasm"), published="best of SemEval-2022 0.605 [3]"),
    Goal(
        "Banking77, accuracy",
        _task("banking77"),
        0.935,
        published="BERT-large fine-tuned 0.937, USE+ConveRT 0.934 [4]",
    ),
    Goal(
        "Banking77 from 10 examples each, accuracy",
        _taught,
        0.87,
        published="USE+ConveRT 0.852, BERT-large fine-tuned 0.834 [4]",
    ),
    Goal("CLINC150 with out-of-scope, accuracy", _task("clinc150"), 0.93, published="BERT-large 0.866 [5]"),
    Goal("CLINC150, out-of-scope recall", _out_of_scope, published="BERT-large 0.403 [5]"),
    Goal("real tweets: topic, acceptable", _real("tweets", "topic", "acceptable"), 0.85),
    Goal("real tweets: sentiment, macro-F1", _real("tweets", "sentiment", "macro_f1"), 0.74),
    Goal("real mails: topic, acceptable", _real("mails", "topic", "acceptable")),
    Goal("real mails: sentiment, macro-F1", _real("mails", "sentiment", "macro_f1")),
    Goal(
        "real messages: sentiment, calibration error",
        _at("real", "all", "sentiment", "calibration_error"),
        0.02,
        less=True,
    ),
    Goal(
        "real messages: topic, of the surest 70 % acceptable",
        _at("real", "all", "topic", "surest", "0.7"),
        0.85,
    ),
)

SOURCES = """\
[1] F. Barbieri et al. 2020, "TweetEval", Findings of EMNLP (RoBERTa-base and retrained); D. Q. Nguyen et al.
2020, "BERTweet"; D. Loureiro et al. 2022, "TimeLMs", ACL demos: as on the leaderboard of the repository
cardiffnlp/tweeteval, where it was looked up. All of them have 110 to 125 M parameters.
[2] D. Demszky et al. 2020, "GoEmotions", ACL: "average F1-score of .46" in its abstract.
[3] I. Abu Farha et al. 2022, "iSarcasmEval", SemEval: as others quote it; the paper itself was not checked.
[4] I. Casanueva et al. 2020, "Efficient Intent Detection with Dual Sentence Encoders": as others quote it;
the paper itself was not checked.
[5] S. Larson et al. 2019, "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction":
0.969 in scope and 0.403 out of it, from memory, not checked; 0.866 follows for all rows."""


def table(figures: Figures) -> str:
    """All rows, as Markdown."""
    lines = [
        f"| task | {' | '.join(READERS.values())} | goal | published |",
        "|---|" + "--:|" * len(READERS) + "---|---|",
    ]
    for goal in GOALS:
        values = goal.values(figures)
        cells = (_cell(values.get(who), bold=who == "model") for who in READERS)
        lines.append(f"| {goal.title} | {' | '.join(cells)} | {goal.outcome(figures)} | {goal.published} |")
    return "\n".join(lines)


def _cell(value: float | None, bold: bool) -> str:
    if value is None:
        return "–"
    return f"**{value:.3f}**" if bold else f"{value:.3f}"


def missed(figures: Figures) -> list[str]:
    """The titles of the goals that are not reached."""
    return [goal.title for goal in GOALS if "missed" in goal.outcome(figures)]
