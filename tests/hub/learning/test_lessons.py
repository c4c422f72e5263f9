"""Labels and corrections make the model better on what it did not learn from, or change nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select

import sentiment
from hub.conversations.models import Message
from hub.errors import Conflict, Invalid
from hub.inbox.analyse import analyse
from hub.inbox.service import receive
from hub.learning.corrections import correct
from hub.learning.lessons import calibrate, labelled_by_people, refit
from hub.learning.queries import list_versions
from hub.learning.service import teach
from hub.runtime import Hub
from hub.settings import Settings
from sentiment.adaptation import held_back
from sentiment.types import INTENTS, SENTIMENTS, Scorer, SentimentLabel
from tests.factories import NOW, Batch, channel, inbound, user
from tests.hub.learning.pupil import LUGGAGE, Student

Labels = list[tuple[str, SentimentLabel]]
Word = tuple[SentimentLabel | None, Sequence[str] | None]


@pytest.fixture
def student(hub: Hub) -> Student:
    hub._scorer = student = Student()
    return student


def labels(negative: int, neutral: int, positive: int) -> Labels:
    counts = zip(SENTIMENTS, (negative, neutral, positive), strict=True)
    return [(f"{label} number {n}", label) for label, count in counts for n in range(count)]


def corrected(
    hub: Hub, word_of: Callable[[str], Word], count: int = 60, kinds: Sequence[str] = ("awful", "great")
) -> None:
    """Messages of each kind in turn; people say of each what `word_of` it says, where it does."""
    texts = [f"{kinds[n % len(kinds)]} thing number {n}" for n in range(count)]
    with hub.database.session() as session:
        items = tuple(inbound(text, author=f"author{n}") for n, text in enumerate(texts))
        receive(session, channel(session).id, Batch(items), NOW)
        alex = user(session)
    while analyse(hub):
        pass
    with hub.database.session() as session:
        for message in session.scalars(select(Message).order_by(Message.id)):
            mood, intents = word_of(message.body)
            if mood or intents:
                correct(session, message, user=alex, now=NOW, sentiment=mood, intents=intents)


def rightly(text: str) -> Word:
    if "plain" in text:
        return None, None
    return ("negative", ["complaint"]) if "awful" in text else ("positive", ["praise_thanks"])


def test_confidences_become_right_for_ones_own_messages(hub: Hub, student: Student) -> None:
    read: list[int] = []
    learnt = calibrate(hub, labels(60, 30, 10), source="ours.csv", user_id=None, then=read.append)
    assert learnt.version_id is not None
    assert learnt.lesson.improved
    assert sum(read) == 100
    (said,) = hub.scorer.score(["anything"])
    assert said.sentiment.label == "negative"
    assert said.sentiment.confidence == pytest.approx(0.6, abs=0.05)
    with hub.database.reading() as session:
        (version,) = list_versions(session)
        assert (version.kind, version.note) == ("calibrate", "ours.csv")
        assert (version.figures["labels"], version.figures["not_read"]) == (100, 0)
        assert version.figures["before"]["accuracy"] == pytest.approx(0.3)
        assert version.figures["after"]["accuracy"] == pytest.approx(0.6)


def test_a_second_calibration_begins_where_the_first_ended(hub: Hub, student: Student) -> None:
    calibrate(hub, labels(60, 30, 10), source="", user_id=None)
    shares = hub.scorer.score(["anything"])[0].sentiment.scores
    learnt = calibrate(hub, labels(10, 30, 60), source="", user_id=None)
    loss = -sum(
        share * math.log(shares[label]) for label, share in zip(SENTIMENTS, (0.1, 0.3, 0.6), strict=True)
    )
    assert learnt.lesson.figures["before"]["loss"] == pytest.approx(loss, rel=1e-4)
    after = hub.scorer.score(["anything"])[0].sentiment.scores
    assert after["positive"] == pytest.approx(0.6, abs=0.07)


def test_what_is_right_already_is_left_alone(hub: Hub, student: Student) -> None:
    exact = labels(20, 60, 20)
    learnt = calibrate(hub, exact, source="", user_id=None)
    assert (learnt.version_id, learnt.lesson.improved) == (None, False)
    assert hub.scorer is student
    assert calibrate(hub, exact, source="", user_id=None, force=True).version_id is not None


def test_a_dry_run_changes_nothing(hub: Hub, student: Student) -> None:
    learnt = calibrate(hub, labels(60, 30, 10), source="", user_id=None, keep=False)
    assert (learnt.version_id, learnt.lesson.improved) == (None, True)
    assert hub.scorer is student


def test_what_the_model_cannot_read_teaches_nothing(hub: Hub, student: Student) -> None:
    mixed = [*labels(60, 30, 10), *((f"foreign {n}", "positive") for n in range(50))]
    learnt = calibrate(hub, mixed, source="", user_id=None)
    assert (learnt.lesson.figures["labels"], learnt.lesson.figures["not_read"]) == (100, 50)
    assert hub.scorer.score(["anything"])[0].sentiment.label == "negative"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (labels(5, 5, 5), "at least 30 labelled messages, these are 15"),
        (labels(50, 50, 0), "no message is labelled positive"),
        ([], "no labelled messages"),
    ],
)
def test_labels_that_are_too_few(hub: Hub, student: Student, given: Labels, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        calibrate(hub, given, source="", user_id=None)


def test_what_people_say_is_learnt_and_judged_on_what_was_held_back(hub: Hub, student: Student) -> None:
    corrected(hub, rightly)
    learnt = refit(hub, user_id=None)
    assert learnt.version_id is not None
    figures = learnt.lesson.figures
    assert (figures["corrections"], learnt.lesson.note) == (60, "sentiment and intents")
    assert figures["before"] == {"sentiment_right": 0.0, "main_intent_right": 0.0}
    assert figures["after"] == {"sentiment_right": 1.0, "main_intent_right": 1.0}
    bad, good = hub.scorer.score(["an awful thing", "a great thing"])
    assert (bad.sentiment.label, bad.intents[0].label) == ("negative", "complaint")
    assert (good.sentiment.label, good.intents[0].label) == ("positive", "praise_thanks")
    assert hub.scorer.score(["something else"])[0].intents == ()


def test_what_nobody_corrected_stays_as_it_was_calibrated(hub: Hub, student: Student) -> None:
    calibrate(hub, labels(60, 30, 10), source="", user_id=None)
    corrected(hub, rightly, count=150, kinds=("awful", "great", "plain", "plain", "plain"))
    learnt = refit(hub, user_id=None)
    assert learnt.lesson.figures["corrections"] == 60
    # The refitted head has the calibration in it.
    assert learnt.lesson.adaptation.sentiment is None
    plain, great = hub.scorer.score(["plain thing", "great thing"])
    assert great.sentiment.label == "positive"
    assert plain.sentiment.label == "negative"
    assert plain.sentiment.confidence == pytest.approx(0.6, abs=0.15)


def test_only_the_head_that_people_spoke_of(hub: Hub, student: Student) -> None:
    corrected(hub, lambda text: (rightly(text)[0], None))
    learnt = refit(hub, user_id=None)
    assert (learnt.lesson.note, set(learnt.lesson.adaptation.heads)) == ("sentiment", {"sentiment"})
    assert set(learnt.lesson.figures["after"]) == {"sentiment_right"}


def test_it_refuses_to_get_worse(hub: Hub, student: Student) -> None:
    """What is learnt says one thing, what is held back another."""
    corrected(hub, lambda text: ("neutral" if held_back(text) else "negative", None))
    learnt = refit(hub, user_id=None)
    assert (learnt.version_id, learnt.lesson.improved) == (None, False)
    assert hub.scorer is student
    forced = refit(hub, user_id=None, force=True)
    assert forced.version_id is not None
    assert forced.lesson.figures["after"]["sentiment_right"] < 1


def test_a_dry_run_of_a_refit_changes_nothing(hub: Hub, student: Student) -> None:
    corrected(hub, rightly)
    assert refit(hub, user_id=None, keep=False).lesson.improved
    assert hub.scorer is student


def test_too_few_corrections(hub: Hub, student: Student) -> None:
    with pytest.raises(Invalid, match="so far there are 0 of the sentiment"):
        refit(hub, user_id=None)
    corrected(hub, rightly, count=20)
    with pytest.raises(Invalid, match="30 corrections of one matter"):
        refit(hub, user_id=None)
    with hub.database.reading() as session:
        assert len(labelled_by_people(session)) == 20


def test_taught_intents_outlive_other_lessons(hub: Hub, student: Student) -> None:
    teach(hub, "Lost luggage", LUGGAGE, user_id=None)
    corrected(hub, rightly)
    refit(hub, user_id=None)
    calibrate(hub, labels(60, 30, 10), source="", user_id=None)
    adaptation = hub.active_version().adaptation
    assert adaptation is not None
    assert adaptation.taught.names == ("Lost luggage",)
    assert set(adaptation.heads) == {"sentiment", "intents"}


def test_a_model_that_cannot_learn_says_so(hub: Hub) -> None:
    with pytest.raises(Conflict, match="cannot learn"):
        calibrate(hub, labels(60, 30, 10), source="", user_id=None)


@pytest.fixture(scope="session")
def shipped() -> Scorer:
    return sentiment.load()


def test_the_shipped_model_learns_all_three(
    shipped: Scorer, sqlite_url: str, tmp_path: pytest.TempPathFactory
) -> None:
    hub = Hub(Settings(home=tmp_path, database_url=sqlite_url, secret_key="test key"))
    hub._scorer = shipped
    things = ("parcel", "phone", "invoice", "booking", "router", "coat", "lamp", "ticket", "meal", "app")
    kinds: dict[SentimentLabel, str] = {
        "negative": "the {} is awful and I am angry",
        "neutral": "what does the {} weigh?",
        "positive": "I love my new {}, thank you so much",
    }
    ours: Labels = [(text.format(thing), label) for label, text in kinds.items() for thing in things]
    # Here people call what they love neutral, so that there is something to learn.
    ours = [
        (text, "neutral" if label == "positive" and "coat" not in text else label) for text, label in ours
    ]
    learnt = calibrate(hub, ours * 2, source="ours", user_id=None)
    assert learnt.lesson.improved
    assert learnt.lesson.figures["after"]["loss"] < learnt.lesson.figures["before"]["loss"]

    teach(hub, "Lost luggage", LUGGAGE, user_id=None)
    lost, glad = hub.scorer.score(["my suitcase has not arrived", kinds["positive"].format("coat")])
    assert [each.name for each in lost.taught] == ["Lost luggage"]
    assert glad.taught == ()
    assert hub.scorer.name == f"{shipped.name}+2"
    assert {each.label for each in lost.intents} <= set(INTENTS)
    hub.close()
