"""What Reddit says comes in once, whole and in time."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import (
    Attachment,
    Author,
    BadPayload,
    Deleted,
    Edited,
    Identity,
    InboundMessage,
    Item,
)
from tests.connectors.reddit.reading import fetched, messages, said
from tests.connectors.reddit.standin import (
    ME,
    NOW,
    Standin,
)
from tests.connectors.reddit.test_contract import connector, thing


def test_a_reply_to_us_tells_who_where_and_what(standin: Standin) -> None:
    standin.put("message/inbox", thing("comment_reply"))
    standin.abouts["Mara_L"] = {"total_karma": 4711, "subreddit": {"subscribers": 12}}
    items, _ = fetched(connector(standin))
    [message] = items
    assert message == InboundMessage(
        external_id="t1_c1",
        text="Still nothing & no answer. Grüße 🙂",
        author=Author((Identity("handle", "Mara_L", "reddit"),), followers=12),
        sent_at=datetime(2026, 3, 2, 10, 1, tzinfo=UTC),
        subject="Where is my parcel?",
        html='<div class="md"><p>Still nothing & no answer. Grüße 🙂</p></div>',
        thread_key="t3_s1/mara_l",
        in_reply_to=("t1_our0",),
        url=f"{standin.url}/r/parcels/comments/s1/where_is_my_parcel/c1/?context=3",
        meta={
            "name": "t1_c1",
            "kind": "t1",
            "subreddit": "parcels",
            "score": 3,
            "karma": 4711,
            "type": "comment_reply",
        },
    )


@pytest.mark.parametrize(
    ("fixture", "thread_key", "automatic"),
    [
        ("username_mention", "t3_s1/mara_l", False),
        ("submission_text", "t3_s1/mara_l", False),
        ("private_message", "t4_m1", False),
        ("private_message_answered", "t4_m1", False),
        ("comment_by_robot", "t3_s1/automoderator", True),
    ],
)
def test_what_belongs_together(standin: Standin, fixture: str, thread_key: str, automatic: bool) -> None:
    standin.put("message/inbox", thing(fixture))
    [message] = fetched(connector(standin))[0]
    assert isinstance(message, InboundMessage)
    assert message.thread_key == thread_key
    assert message.automatic is automatic
    assert message.incoming
    assert message.addressed


def test_a_picture_is_told_of(standin: Standin) -> None:
    standin.put("message/inbox", thing("submission_picture"))
    [message] = fetched(connector(standin))[0]
    assert isinstance(message, InboundMessage)
    url = "https://i.redd.it/crushed.jpg?width=640"
    assert message.attachments == (Attachment("crushed.jpg", "image/jpeg", 0, url=url, fetchable=True),)


def test_a_gallery_and_a_film_are_what_reddit_keeps_of_them(standin: Standin) -> None:
    gallery, film, elsewhere = (deepcopy(thing("submission_picture")) for _ in range(3))
    del gallery["data"]["post_hint"]
    gallery["data"] |= {
        "name": "t3_s3",
        "url": "https://www.reddit.com/gallery/s3",
        "gallery_data": {"items": [{"media_id": "b"}, {"media_id": "a", "caption": " The lid "}, {}]},
        "media_metadata": {
            "a": {"m": "image/jpg", "s": {"u": "https://preview.redd.it/a.jpg?width=640&s=1"}},
            "b": {"m": "image/gif", "s": {"gif": "https://i.redd.it/b.gif"}},
        },
    }
    fallback = "https://v.redd.it/f/DASH_720.mp4?source=fallback"
    film["data"] |= {"name": "t3_s4", "media": {"reddit_video": {"fallback_url": fallback}}}
    elsewhere["data"] |= {"name": "t3_s5", "url": "https://i.elsewhere.example/box.png"}
    for each in (gallery, film, elsewhere):
        standin.put("message/inbox", each)
    found = {
        each.external_id: each for each in fetched(connector(standin))[0] if isinstance(each, InboundMessage)
    }
    assert [(each.url, each.content_type, each.description) for each in found["t3_s3"].attachments] == [
        ("https://i.redd.it/b.gif", "image/gif", None),
        ("https://preview.redd.it/a.jpg?width=640&s=1", "image/jpeg", "The lid"),
    ]
    assert [(each.url, each.fetchable) for each in found["t3_s4"].attachments] == [(fallback, True)]
    assert [each.fetchable for each in found["t3_s5"].attachments] == [False], "not Reddit's"


def test_searches_and_watched_subreddits_are_overheard(standin: Standin) -> None:
    standin.put("r/parcels+post/search", thing("submission_text"))
    standin.put("r/acme/new", thing("submission_picture"))
    standin.put("r/acme/comments", said(1, 5))
    reddit = connector(standin, searches=["parcel"], subreddits=["parcels", "post"], watched=["acme"])
    found = messages(fetched(reddit)[0])
    assert found.keys() == {"t3_s1", "t3_s2", "t1_n1"}
    assert not any(message.addressed for message in found.values())
    asked = next(query for _, path, query in standin.requests if path.endswith("search"))
    assert (asked["q"], asked["sort"], asked["restrict_sr"]) == ("parcel", "new", "true")
    assert not any(path.endswith("about") for path in standin.paths())


def test_our_own_words_are_ours_wherever_they_were_written(standin: Standin) -> None:
    standin.put(f"user/{ME}/comments", said(1, 5, author=ME.upper(), parent_id="t1_c1"))
    sent = {**thing("private_message_answered")}
    sent["data"]["author"] = ME
    standin.put("message/sent", sent)
    found = messages(fetched(connector(standin))[0])
    assert not any(message.incoming for message in found.values())
    assert found["t1_n1"].thread_key is None
    assert found["t1_n1"].in_reply_to == ("t1_c1",)
    assert found["t4_m3"].thread_key == "t4_m1"


def test_what_was_gone_before_we_came_is_left_out(standin: Standin) -> None:
    standin.put("message/inbox", said(1, 5, author="[deleted]", body="[deleted]"))
    standin.put("message/inbox", said(2, 5, body="[removed]"))
    assert fetched(connector(standin))[0] == []


def test_the_first_fetch_leaves_history_to_the_back_fill(standin: Standin) -> None:
    for number in range(250):
        standin.put("message/inbox", said(number, 60 * 25 + number))
    standin.put("message/inbox", said(999, 60 * 24 * 90))
    reddit = connector(standin)
    assert fetched(reddit)[0] == []
    since = NOW - timedelta(days=30)
    batches = list(reddit.backfill(since, None))
    whole = [item for batch in batches for item in batch.items]
    assert len(messages(whole)) == len(whole) == 250
    for number, batch in enumerate(batches):
        cursor = json.loads(json.dumps(batch.cursor))
        rest = [item for each in reddit.backfill(since, cursor) for item in each.items]
        assert rest == [item for each in batches[number + 1 :] for item in each.items]


def test_the_beginning_does_not_move_with_the_clock(standin: Standin) -> None:
    reddit = connector(standin)
    _, cursor = fetched(reddit)
    standin.now += timedelta(days=7)
    standin.put("message/inbox", said(1, -5))
    assert messages(fetched(reddit, cursor)[0]).keys() == {"t1_n1"}


def test_an_outage_loses_nothing_and_doubles_nothing(standin: Standin) -> None:
    reddit = connector(standin)
    for number in range(30):
        standin.put("message/inbox", said(number, 90 - number))
    items, cursor = fetched(reddit)
    for number in range(30, 480):
        standin.put("message/inbox", said(number, 59 - number / 10))
    seen = list(messages(items))
    # Broken off after every step, and gone on from what was stored.
    while True:
        batch = next(iter(reddit.fetch(cursor)), None)
        if batch is None or not batch.items:
            break
        seen += messages(list(batch.items))
        cursor = json.loads(json.dumps(batch.cursor))
    assert seen == [f"t1_n{number}" for number in range(480)]


def test_what_a_search_shows_late_is_not_lost(standin: Standin) -> None:
    reddit = connector(standin, searches=["parcel"])
    standin.put("r/all/search", said(1, 5))
    _, cursor = fetched(reddit)
    standin.put("r/all/search", said(2, 9))
    items, cursor = fetched(reddit, cursor)
    assert messages(items).keys() == {"t1_n2"}
    assert fetched(reddit, cursor)[0] == []


def test_the_newest_may_be_deleted_between_two_fetches(standin: Standin) -> None:
    reddit = connector(standin)
    standin.put("message/inbox", said(1, 5))
    _, cursor = fetched(reddit)
    standin.listings["message/inbox"].clear()
    standin.put("message/inbox", said(2, 3))
    assert messages(fetched(reddit, cursor)[0]).keys() == {"t1_n2"}


def test_edits_and_deletions_are_followed(standin: Standin) -> None:
    reddit = connector(standin)
    edited = standin.put("message/inbox", said(1, 9))
    removed = standin.put("message/inbox", said(2, 8))
    deleted = standin.put("message/inbox", said(3, 7))
    standin.put("message/inbox", said(4, 6))
    standin.put("message/inbox", thing("private_message"))
    _, cursor = fetched(reddit)
    edited["data"].update(body="Other words", edited=(NOW + timedelta(minutes=3)).timestamp())
    removed["data"]["body"] = "[removed]"
    deleted["data"].update(author="[deleted]", body="[deleted]")
    standin.now += timedelta(minutes=9)
    assert fetched(reddit, cursor)[0] == []  # it is not yet time to look
    standin.now += timedelta(minutes=2)
    items, cursor = fetched(reddit, cursor)
    assert items == [
        Edited("t1_n1", "Other words", edited_at=NOW + timedelta(minutes=3)),
        Deleted("t1_n2"),
        Deleted("t1_n3"),
    ]
    standin.now += timedelta(minutes=11)
    assert fetched(reddit, cursor)[0] == []
    asked = [query["id"] for _, path, query in standin.requests if path == "api/info"]
    assert asked == ["t1_n1,t1_n2,t1_n3,t1_n4", "t1_n1,t1_n4"]


def test_what_is_old_is_not_looked_at_again(standin: Standin) -> None:
    reddit = connector(standin, recheck_hours=1)
    standin.put("message/inbox", said(1, 30))
    _, cursor = fetched(reddit)
    standin.now += timedelta(minutes=31)
    fetched(reddit, cursor)
    assert "api/info" not in standin.paths()


def test_a_thing_that_is_not_found_again_is_not_taken_for_deleted(standin: Standin) -> None:
    reddit = connector(standin)
    standin.put("message/inbox", said(1, 5))
    _, cursor = fetched(reddit)
    standin.info.clear()
    standin.now += timedelta(minutes=11)
    assert fetched(reddit, cursor)[0] == []


def test_a_search_that_is_refused_stops_only_itself(standin: Standin) -> None:
    standin.put("r/acme/new", said(1, 5))
    standin.listings["r/acme/comments"] = []
    reddit = connector(standin, watched=["private", "acme"])
    seen: list[Item] = []
    batches = reddit.fetch(None)
    with pytest.raises(BadPayload, match="r/private/new"):
        seen.extend(item for batch in batches for item in batch.items)
    assert messages(seen).keys() == {"t1_n1"}


def test_profiles_are_asked_for_once_and_never_hold_anything_up(standin: Standin) -> None:
    for number in range(40):
        standin.put("message/inbox", said(number, 60 - number, author=f"person_{number // 2}"))
    reddit = connector(standin)
    assert len(messages(fetched(reddit)[0])) == 40
    assert sum(path.endswith("about") for path in standin.paths()) == 20
    quiet = connector(standin, profiles=False)
    asked = len(standin.requests)
    fetched(quiet)
    assert not any(path.endswith("about") for path in standin.paths()[asked:])
