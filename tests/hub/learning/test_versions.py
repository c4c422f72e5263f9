"""What is taught is at work at once, everywhere, and each step can be taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from sqlalchemy import select, update

from hub.conversations.models import AnalysisRow
from hub.errors import Conflict, Invalid, NotFound
from hub.inbox.analyse import analyse
from hub.learning import service
from hub.learning.models import ModelVersion
from hub.learning.queries import find_intent, intents_at_work, list_versions
from hub.learning.service import forget, teach, use
from hub.learning.versions import named_id
from hub.runtime import Hub
from sentiment.adaptation import Adaptation
from tests.factories import WordScorer, channel, inbound, receive_one, user
from tests.hub.learning.pupil import LUGGAGE, Pupil, bags

PARKING = tuple(f"{text} parked" for text in ("car", "van", "lorry", "cycle", "coach"))


def read(hub: Hub, text: str) -> tuple[str, list[str]]:
    """A message comes in and is read: by which version, and for which taught intents."""
    with hub.database.session() as session:
        name = f"chirp-{len(session.scalars(select(AnalysisRow.id)).all())}"
        message = receive_one(session, channel(session, name), inbound(text))
    assert analyse(hub) == 1
    with hub.database.reading() as session:
        row = session.scalars(select(AnalysisRow).where(AnalysisRow.message_id == message.id)).one()
        return row.model, [each["name"] for each in row.taught]


def names(hub: Hub) -> list[str]:
    with hub.database.reading() as session:
        return [each.name for each in intents_at_work(session)]


def put(hub: Hub, name: str) -> None:
    with hub.database.session() as session:
        use(session, named_id(session, name))


def test_what_is_taught_is_read_for_from_the_next_message_on(hub: Hub, pupil: Pupil) -> None:
    assert read(hub, LUGGAGE[0]) == ("words-1", [])
    version = teach(hub, "Lost luggage", LUGGAGE, user_id=None).version_id
    assert read(hub, LUGGAGE[0]) == (f"words-1+{version}", ["Lost luggage"])
    assert read(hub, "a good day") == (f"words-1+{version}", [])


def test_another_process_knows_it_as_soon(hub: Hub, pupil: Pupil) -> None:
    other = Hub(hub.settings)
    other._scorer = Pupil()
    assert other.scorer is other.base_scorer
    version = teach(hub, "Lost luggage", LUGGAGE, user_id=None).version_id
    assert read(other, LUGGAGE[1]) == (f"words-1+{version}", ["Lost luggage"])
    assert other.scorer is other.scorer, "made once for each version"
    forget(other, "Lost luggage", user_id=None)
    assert read(hub, LUGGAGE[1])[1] == []
    other.close()


def test_each_step_is_a_version_and_can_be_put_back(hub: Hub, pupil: Pupil) -> None:
    with hub.database.session() as session:
        alex = user(session)
    first = teach(hub, "Lost luggage", LUGGAGE, user_id=alex.id).version_id
    second = teach(hub, "Parking", PARKING, user_id=None).version_id
    third = forget(hub, "Lost luggage", user_id=None).version_id
    assert names(hub) == ["Parking"]
    with hub.database.reading() as session:
        made = [(each.id, each.parent_id, each.kind, each.note) for each in list_versions(session)]
        assert find_intent(session, "parking").name == "Parking"
    assert made == [
        (third, second, "forget", "Lost luggage"),
        (second, first, "teach", "Parking"),
        (first, None, "teach", "Lost luggage"),
    ]
    put(hub, str(second))
    assert names(hub) == ["Lost luggage", "Parking"]
    put(hub, "base")
    assert (names(hub), hub.scorer) == ([], pupil)
    put(hub, str(first))
    assert read(hub, LUGGAGE[2]) == (f"words-1+{first}", ["Lost luggage"])
    assert read(hub, PARKING[2])[1] == []
    # Who teaches now goes on from there.
    teach(hub, "Parking", PARKING, user_id=None)
    assert names(hub) == ["Lost luggage", "Parking"]


def test_examples_are_kept_in_words(hub: Hub, pupil: Pupil) -> None:
    teach(hub, "  Lost   luggage ", [f"  {text}\n" for text in LUGGAGE], user_id=None)
    with hub.database.reading() as session:
        intent = find_intent(session, "lost luggage")
        assert [example.text for example in intent.examples] == list(LUGGAGE)


@pytest.mark.parametrize(
    ("name", "examples", "why"),
    [
        ("Luggage", LUGGAGE[:4], "5 different example messages or more, these are 4"),
        ("Luggage", (*LUGGAGE[:4], LUGGAGE[0].upper(), " "), "these are 4"),
        ("Luggage", (*LUGGAGE, "foreign words"), "'foreign words': written in a foreign language"),
        ("Luggage", (*LUGGAGE, "a\0b"), "example 6 holds characters that are none"),
        ("Luggage", (*LUGGAGE, "half \ud83d"), "example 6 holds characters that are none"),
        ("Luggage", (*LUGGAGE, "x" * 10_001), "example 6 has over 10,000"),
        ("Refund return", LUGGAGE, "knows already"),
        ("delivery_status", LUGGAGE, "knows already"),
        ("  ", LUGGAGE, "one line of 1 to 100"),
        ("n" * 101, LUGGAGE, "one line of 1 to 100"),
        ("bell\a", LUGGAGE, "one line of 1 to 100"),
    ],
)
def test_a_lesson_that_cannot_be_learnt(
    hub: Hub, pupil: Pupil, name: str, examples: tuple[str, ...], why: str
) -> None:
    with pytest.raises(Invalid, match=why):
        teach(hub, name, examples, user_id=None)
    assert hub.scorer is pupil


def test_a_name_is_taught_once(hub: Hub, pupil: Pupil) -> None:
    teach(hub, "Lost luggage", LUGGAGE, user_id=None)
    with pytest.raises(Conflict, match="'Lost luggage' is taught already"):
        teach(hub, "lost-LUGGAGE", PARKING, user_id=None)
    forget(hub, "lost luggage", user_id=None)
    teach(hub, "lost-LUGGAGE", PARKING, user_id=None)
    assert names(hub) == ["lost-LUGGAGE"]


def test_what_was_not_taught_cannot_be_forgotten(hub: Hub, pupil: Pupil) -> None:
    with pytest.raises(NotFound, match="no intent named 'Parking'"):
        forget(hub, "Parking", user_id=None)
    with hub.database.reading() as session, pytest.raises(NotFound, match="no intent named 'Parking'"):
        find_intent(session, "Parking")


@pytest.mark.parametrize("name", ["7", "", "-1", "newest", "9" * 30])
def test_a_version_that_is_none(hub: Hub, name: str) -> None:
    with hub.database.reading() as session, pytest.raises(NotFound, match="no version"):
        named_id(session, name)


def test_of_lessons_at_once_none_is_lost(hub: Hub, pupil: Pupil) -> None:
    barrier = Barrier(4)

    def lesson(number: int) -> None:
        barrier.wait()
        teach(hub, f"Intent {number}", [f"{text} {number}" for text in LUGGAGE], user_id=None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lesson, range(4)))
    assert names(hub) == [f"Intent {number}" for number in range(4)]
    with hub.database.reading() as session:
        parents = [each.parent_id for each in list_versions(session)]
        assert len(session.scalars(select(ModelVersion).where(ModelVersion.active)).all()) == 1
    assert len(set(parents)) == 4


def test_who_never_gets_a_turn_is_told(hub: Hub, pupil: Pupil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "active_id", lambda session: -1)
    with pytest.raises(Conflict, match="try again later"):
        teach(hub, "Lost luggage", LUGGAGE, user_id=None)


def test_another_shipped_model_reads_the_examples_anew(hub: Hub, pupil: Pupil) -> None:
    version = teach(hub, "Lost luggage", LUGGAGE, user_id=None).version_id
    hub._scorer = Pupil("words-2")
    trouble = hub.active_version().trouble
    assert trouble is not None
    assert "made for words-1" in trouble
    assert read(hub, LUGGAGE[3]) == (f"words-2+{version}", ["Lost luggage"])
    teach(hub, "Parking", PARKING, user_id=None)
    assert names(hub) == ["Lost luggage", "Parking"]
    assert hub.active_version().trouble is None


def test_the_name_is_learnt_from_too_where_it_can_be_read(hub: Hub, pupil: Pupil) -> None:
    teach(hub, "lost_suitcase", LUGGAGE, user_id=None)
    teach(hub, "foreign matters", PARKING, user_id=None)
    for model in ("words-1", "words-2"):
        hub._scorer = Pupil(model)
        adaptation = hub.active_version().adaptation
        assert adaptation is not None
        assert adaptation.taught.named.keys() == {"lost_suitcase"}
        np.testing.assert_array_equal(adaptation.taught.named["lost_suitcase"], bags(["lost suitcase"])[0])


def test_examples_that_the_new_model_cannot_read_are_left_out(
    hub: Hub, pupil: Pupil, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach(hub, "Lost luggage", LUGGAGE, user_id=None)
    teach(hub, "Parking", (*PARKING, "tram parked"), user_id=None)

    class Picky(Pupil):
        def see(self, texts):  # type: ignore[no-untyped-def]
            return super().see(
                [text.replace("van", "foreign").replace("suitcase", "foreign") for text in texts]
            )

    hub._scorer = Picky("words-2")
    # Five of six are enough, four of five are not.
    assert read(hub, PARKING[0])[1] == ["Parking"]
    assert read(hub, LUGGAGE[1])[1] == []


def test_a_version_that_cannot_be_used_stops_no_message(hub: Hub, pupil: Pupil) -> None:
    version = teach(hub, "Lost luggage", LUGGAGE, user_id=None).version_id
    with hub.database.session() as session:
        session.execute(update(ModelVersion).values(payload=b"damaged"))
    hub.versions._latest = None
    assert read(hub, LUGGAGE[0]) == ("words-1", [])
    with pytest.raises(Conflict, match=f"version {version} cannot be used"):
        teach(hub, "Parking", PARKING, user_id=None)
    put(hub, "base")
    teach(hub, "Parking", PARKING, user_id=None)


def test_a_model_that_cannot_learn_says_so(hub: Hub) -> None:
    assert isinstance(hub.base_scorer, WordScorer)
    with pytest.raises(Conflict, match="cannot learn"):
        teach(hub, "Lost luggage", LUGGAGE, user_id=None)


def test_the_payload_is_an_adaptation(hub: Hub, pupil: Pupil) -> None:
    teach(hub, "Lost luggage", LUGGAGE, user_id=None)
    with hub.database.reading() as session:
        (version,) = list_versions(session)
        assert Adaptation.from_bytes(version.payload).taught.names == ("Lost luggage",)
