"""Moods and search by API and by page."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from hub.clock import utcnow
from hub.listening.saved import fill_searches, named_search
from hub.runtime import Hub
from tests.factories import analyse_as, analysis, channel, inbound, receive_one


@pytest.fixture
def said(hub: Hub) -> None:
    now = utcnow()
    with hub.database.session() as session:
        chirp = channel(session, at=now)
        for number, label in enumerate(("negative", "positive", None)):
            message = receive_one(
                session, chirp, inbound("So <i>very</i> bad", author=f"author{number}", sent_at=now), now=now
            )
            analyse_as(session, message, analysis(label, language="de"), now=now)


@pytest.mark.usefixtures("said")
def test_api(api: TestClient) -> None:
    found = api.get("reports/sentiment", params={"range": "30d"}).json()
    assert found["totals"] == {
        "messages": 3,
        "negative": 1,
        "neutral": 0,
        "positive": 1,
        "abstained": 1,
        "negative_share": 0.5,
    }
    assert (found["unit"], len(found["over_time"])) == ("day", 30)
    assert found["over_time"][-1]["messages"] == 3
    assert found["by_channel"][0]["channel"] == "chirp"
    assert found["by_language"][0]["language"] == "de"
    assert found["intents"] == [{"intent": "complaint", "messages": 3, "negative": 1}]
    assert found["worst"][0]["text"] == "So <i>very</i> bad"


def test_an_unknown_range_is_a_problem(api: TestClient) -> None:
    answer = api.get("reports/sentiment", params={"range": "1y"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "range"


@pytest.mark.usefixtures("said")
def test_page(agent: TestClient) -> None:
    for range_ in ("24h", "7d", "14d", "30d"):
        text = agent.get("/listening", params={"range": range_}).text
        assert "Mood over time" in text
        assert "German" in text
        assert "So &lt;i&gt;very&lt;/i&gt; bad" in text


def test_page_of_nothing(agent: TestClient) -> None:
    assert "Nothing was said in this time" in agent.get("/listening").text


@pytest.mark.usefixtures("said")
def test_search_by_api(api: TestClient) -> None:
    found = api.get("search", params={"query": "very NEAR/1 bad lang:de", "limit": 2}).json()
    assert [each["text"] for each in found["items"]] == ["So <i>very</i> bad"] * 2
    assert (found["items"][0]["language"], found["items"][0]["addressed"]) == ("de", True)
    rest = api.get("search", params={"query": "bad", "limit": 2, "cursor": found["next_cursor"]}).json()
    assert (len(rest["items"]), rest["next_cursor"]) == (1, None)
    seen = {each["message_id"] for each in found["items"] + rest["items"]}
    assert len(seen) == 3


def test_a_mistaken_query_is_a_problem_with_its_place(api: TestClient) -> None:
    answer = api.get("search", params={"query": "bad langg:de"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["detail"] == "no field 'langg'; did you mean lang? (at character 5)"
    assert (problem["field"], problem["position"]) == ("query", 4)


@pytest.mark.usefixtures("said")
def test_search_page(agent: TestClient) -> None:
    assert "Search what was said" in agent.get("/listening").text
    text = agent.get("/listening/search", params={"q": "very bad"}).text
    assert text.count("So &lt;i&gt;very&lt;/i&gt; bad") == 3
    assert "Nothing matches" in agent.get("/listening/search", params={"q": "holiday"}).text
    assert "did you mean lang?" in agent.get("/listening/search", params={"q": "langg:de"}).text
    assert "Nothing matches" not in agent.get("/listening/search").text


@pytest.mark.usefixtures("said")
def test_saved_searches_by_api(api: TestClient, hub: Hub) -> None:
    made = api.post("searches", json={"name": "Bad", "query": "bad"})
    assert made.status_code == 201
    assert (made.json()["filled"], made.json()["saved_by"]) == (False, "Alex Agent")
    while fill_searches(hub):
        pass
    (found,) = api.get("searches", params={"range": "24h"}).json()
    assert (found["messages"], found["negative"], found["abstained"], found["before"]) == (3, 1, 1, 0)
    assert (sum(found["over_time"]), len(found["over_time"]), found["filled"]) == (3, 24, True)
    where = f"searches/{found['id']}"
    assert api.patch(where, json={"name": "Very bad"}).json()["name"] == "Very bad"
    assert api.post("searches", json={"name": "very BAD", "query": "bad"}).status_code == 409
    assert api.post("searches", json={"name": "Other", "query": "("}).json()["position"] == 0
    assert api.delete(where).status_code == 204
    assert api.delete(where).status_code == 404
    assert api.get("searches").json() == []


@pytest.mark.usefixtures("said")
def test_saved_searches_by_page(agent: TestClient, hub: Hub) -> None:
    assert "None yet." in agent.get("/listening").text
    assert "Watch it as" in agent.get("/listening/search", params={"q": "bad"}).text
    text = agent.post(
        "/listening/searches", data={"name": "<Bad>", "query": "bad"}, follow_redirects=True
    ).text
    assert "Saved as" in text
    assert "&lt;Bad&gt;" in text
    assert "Looking back" in agent.get("/listening").text
    while fill_searches(hub):
        pass
    listening = agent.get("/listening").text
    assert "Looking back" not in listening
    assert '<a href="/listening/search?q=bad"' in listening
    assert "<code>bad</code>" in agent.get("/listening/search").text
    with hub.database.reading() as session:
        number = named_search(session, "<Bad>").id
    assert (
        "is “Bad” now"
        in agent.post(
            f"/listening/searches/{number}/rename", data={"name": "Bad"}, follow_redirects=True
        ).text
    )
    text = agent.post(f"/listening/searches/{number}/remove", follow_redirects=True).text
    assert "counted no more" in text
    assert 'name="query" value="bad"' in text
    assert "None yet." in agent.get("/listening").text
