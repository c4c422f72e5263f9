"""Teaching, versions and reading again, by API and by page."""

from __future__ import annotations

from fastapi.testclient import TestClient

from hub.conversations.models import Message
from hub.inbox.analyse import analyse
from hub.learning.corrections import correct
from hub.learning.figures import in_words
from hub.learning.reanalysis import reanalyse
from hub.runtime import Hub
from tests.factories import NOW, channel, inbound, receive_one, user
from tests.hub.learning.pupil import LUGGAGE, Pupil, Student

LESSON = {"name": "Lost luggage", "examples": list(LUGGAGE)}
FORM = {"name": "Lost luggage", "examples": "\r\n".join(LUGGAGE)}


def test_a_program_teaches_and_forgets(api: TestClient, pupil: Pupil, hub: Hub) -> None:
    answer = api.post("intents", json=LESSON)
    assert answer.status_code == 201
    taught = answer.json()
    assert (taught["name"], taught["examples"], taught["by"]) == ("Lost luggage", list(LUGGAGE), "Alex Agent")
    assert hub.scorer.score([LUGGAGE[0]])[0].taught[0].name == "Lost luggage"
    intents = api.get("intents").json()
    assert intents["taught"] == [taught]
    assert "refund_return" in intents["known"]
    assert api.get("intents/Lost%20luggage").json() == taught
    assert api.delete("intents/Lost%20luggage").json()["taught"] == []
    assert api.get("intents/Lost%20luggage").status_code == 404
    assert hub.scorer.score([LUGGAGE[0]])[0].taught == ()


def test_a_lesson_is_refused_with_its_reason(api: TestClient, pupil: Pupil) -> None:
    for body, status, why in (
        ({**LESSON, "examples": LUGGAGE[:4]}, 422, "5 different example"),
        ({**LESSON, "name": "complaint"}, 422, "knows already"),
        ({**LESSON, "examples": [*LUGGAGE, "foreign"]}, 422, "'foreign': written in"),
        ({"name": "x"}, 422, "examples"),
    ):
        answer = api.post("intents", json=body)
        assert (answer.status_code, why in answer.json()["detail"]) == (status, True), answer.text
    assert api.post("intents", json=LESSON).status_code == 201
    assert api.post("intents", json=LESSON).status_code == 409
    assert api.delete("intents/Parking").status_code == 404


def test_who_is_not_known_teaches_nothing(app_client: TestClient, pupil: Pupil, hub: Hub) -> None:
    assert app_client.post("/api/v1/intents", json=LESSON).status_code == 401
    answer = app_client.post("/model/intents", data=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/")
    assert hub.scorer is pupil


def test_versions_by_api(api: TestClient, pupil: Pupil) -> None:
    assert api.get("model").json() == {
        "active": None,
        "versions": [],
        "corrections": {"messages": 0, "sentiments": 0, "intents": 0},
        "reanalysis": None,
    }
    api.post("intents", json=LESSON)
    (version,) = api.get("model").json()["versions"]
    assert version.pop("at")
    assert version == {
        "id": 1,
        "active": True,
        "parent": None,
        "base": "words-1",
        "kind": "teach",
        "note": "Lost luggage",
        "figures": {"examples": 5},
        "intents": 1,
        "by": "Alex Agent",
    }
    assert api.put("model/active", json={"version": "base"}).json()["active"] is None
    assert api.get("intents").json()["taught"] == []
    assert api.put("model/active", json={"version": "1"}).json()["active"] == 1
    assert api.put("model/active", json={"version": "2"}).status_code == 404


def test_history_is_read_again_by_api(api: TestClient, pupil: Pupil, hub: Hub) -> None:
    assert api.get("model/reanalysis").status_code == 404
    assert api.post("model/reanalysis", json={}).status_code == 422
    with hub.database.session() as session:
        message = receive_one(session, channel(session), inbound(LUGGAGE[0]))
    analyse(hub)
    api.post("intents", json=LESSON)
    answer = api.post("model/reanalysis", json={"since": "2026-11-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["total"]) == (202, 1)
    assert api.post("model/reanalysis", json={}).status_code == 409
    while reanalyse(hub):
        pass
    assert api.get("model/reanalysis").json()["done"] == 1
    (shown,) = api.get(f"conversations/{message.conversation_id}").json()["messages"]
    assert [each["name"] for each in shown["analysis"]["taught"]] == ["Lost luggage"]
    assert api.delete("model/reanalysis").status_code == 409
    api.post("model/reanalysis", json={})
    assert api.delete("model/reanalysis").json()["stopped"]


def test_a_person_teaches_forgets_and_takes_it_back(agent: TestClient, pupil: Pupil, hub: Hub) -> None:
    assert "None yet." in agent.get("/model").text
    assert agent.post("/model/intents", data=FORM).headers["location"] == "/model"
    page = agent.get("/model").text
    assert "Taught. Messages are read for “Lost luggage” from now on." in page
    assert all(text in page for text in (*LUGGAGE, "Version 1", "5 examples", "Reads now"))
    agent.post("/model/intents/forget", data={"name": "Lost luggage"})
    assert "None yet." in agent.get("/model").text
    # Undo: the version before, while nothing else happened.
    agent.post("/model/use", data={"version": "1", "instead_of": "2"})
    assert "Version 1 reads messages now." in agent.get("/model").text
    agent.post("/model/use", data={"version": "base", "instead_of": "2"})
    page = agent.get("/model").text
    assert "the model was changed since" in page.lower()
    assert "Version 1" in page
    agent.post("/model/use", data={"version": "base"})
    assert "The model as it is shipped reads messages now." in agent.get("/model").text


def test_a_refused_lesson_is_told_on_the_page(agent: TestClient, pupil: Pupil) -> None:
    answer = agent.post(
        "/model/intents", data={**FORM, "examples": "one\ntwo"}, headers={"referer": "/model"}
    )
    assert answer.headers["location"] == "/model"
    assert (
        "An intent is taught by 5 different example messages or more, these are 2."
        in agent.get("/model").text
    )


def test_history_is_read_again_by_page(agent: TestClient, pupil: Pupil, hub: Hub) -> None:
    with hub.database.session() as session:
        receive_one(session, channel(session), inbound("good", sent_at=NOW))
    analyse(hub)
    assert 'hx-trigger="every 2s"' not in agent.get("/model").text
    agent.post("/model/reanalysis", data={"days": 0})
    page = agent.get("/model").text
    assert "Reading: 0 of 1 message" in page
    assert 'hx-trigger="every 2s"' in page
    while reanalyse(hub):
        pass
    assert "Read 1 message again" in agent.get("/model").text
    agent.post("/model/reanalysis", data={"days": 0})
    agent.post("/model/reanalysis/stop")
    assert "after 0 of 1 message" in agent.get("/model").text


def test_two_versions_are_compared(api: TestClient, agent: TestClient, pupil: Pupil, hub: Hub) -> None:
    assert "There are no messages yet" in agent.get("/model/compare").text
    with hub.database.session() as session:
        message = receive_one(session, channel(session), inbound(LUGGAGE[0]))
    analyse(hub)
    assert "They say the same" in agent.get("/model/compare").text
    api.post("intents", json=LESSON)
    found = api.get("model/comparison").json()
    assert (found["a"], found["b"], found["messages"], found["differing"]) == ("words-1", "words-1+1", 1, 1)
    assert found["pairs"] == [{"matter": "taught", "a": "none", "b": "Lost luggage", "messages": 1}]
    (example,) = found["examples"]
    assert (example["message_id"], example["b"]["taught"]) == (message.id, "Lost luggage")
    page = agent.get("/model/compare?a=1&b=base").text
    assert f'href="/conversations/{message.conversation_id}#message-{message.id}"' in page
    assert "differ on 1 of the newest 1 message" in page
    assert api.get("model/comparison?a=7").status_code == 404


def test_what_people_corrected_is_learnt_when_asked(api: TestClient, agent: TestClient, hub: Hub) -> None:
    hub._scorer = Student()
    assert api.post("model/refit", json={}).status_code == 422
    agent.post("/model/refit", headers={"referer": "/model"})
    assert "A refit takes 30 corrections of one matter" in agent.get("/model").text
    with hub.database.session() as session:
        chirp, alex = channel(session), user(session)
        messages = [receive_one(session, chirp, inbound(f"awful {n}", author=f"a{n}")) for n in range(50)]
    while analyse(hub):
        pass
    with hub.database.session() as session:
        for message in messages:
            correct(session, session.get_one(Message, message.id), user=alex, now=NOW, sentiment="negative")
    answer = api.post("model/refit", json={"dry_run": True}).json()
    assert (answer["version"], answer["improved"], answer["figures"]["corrections"]) == (None, True, 50)
    assert "Learn from 50 corrections" in agent.get("/model").text
    agent.post("/model/refit")
    assert "Learnt from 50 corrected messages." in agent.get("/model").text
    assert api.get("model").json()["active"] == 1


def test_a_figure_in_words() -> None:
    figures = {
        "labels": 1200,
        "not_read": 0,
        "before": {"accuracy": 0.625, "loss": 1.0, "rows": 3},
        "after": {"accuracy": 0.793, "loss": 0.9, "rows": 3},
    }
    assert in_words(figures) == "1,200 labels, right 62\N{NO-BREAK SPACE}% → 79\N{NO-BREAK SPACE}%"
    assert in_words({}) == ""
