"""Who may sign in, tokens, and who is here."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.accounts.models import ApiToken, User
from hub.accounts.service import (
    add_user,
    all_users,
    create_token,
    find_user,
    heartbeat,
    keep_zone,
    live_tokens,
    needs_heartbeat,
    revoke_tokens,
    set_away,
    set_disabled,
    set_password,
    sign_in,
    user_of_token,
)
from hub.errors import Conflict, Invalid, NotFound, Unauthorized
from tests.factories import NOW, PASSWORD, user


def test_a_user_signs_in_by_address_in_any_case(session: Session) -> None:
    made = add_user(session, email=" Ann@X.example ", name="Ann", role="agent", password=PASSWORD, now=NOW)
    assert made.email == "ann@x.example"
    assert PASSWORD not in made.password_hash
    assert sign_in(session, "ANN@x.example ", PASSWORD) is made
    assert find_user(session, "Ann@x.example") is made
    assert all_users(session) == [made]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"email": "no address"}, Invalid),
        ({"role": "king"}, Invalid),
        ({"password": "1234567"}, Invalid),
        ({"email": "ALEX@x.example"}, Conflict),
    ],
)
def test_who_cannot_be_added(session: Session, fields: dict[str, str], error: type) -> None:
    given = {"email": "alex@x.example", "name": "A", "role": "agent", "password": PASSWORD}
    add_user(session, **given, now=NOW)
    with pytest.raises(error):
        add_user(session, **{**given, "email": "other@x.example", **fields}, now=NOW)


def test_a_password_is_changed(session: Session) -> None:
    somebody = user(session)
    with pytest.raises(Invalid):
        set_password(session, somebody, "short")
    set_password(session, somebody, "another password")
    assert sign_in(session, somebody.email, "another password") is somebody
    with pytest.raises(Unauthorized):
        sign_in(session, somebody.email, PASSWORD)


def test_who_is_locked_out_has_neither_password_nor_token(session: Session) -> None:
    somebody = user(session)
    token = create_token(session, somebody, "laptop", NOW)
    set_disabled(somebody, True, NOW)
    set_disabled(somebody, True, NOW + timedelta(days=1))
    assert somebody.disabled_at == NOW
    session.flush()
    with pytest.raises(Unauthorized):
        sign_in(session, somebody.email, PASSWORD)
    with pytest.raises(Unauthorized):
        user_of_token(session, token)
    set_disabled(somebody, False, NOW)
    session.flush()
    assert user_of_token(session, token) is sign_in(session, somebody.email, PASSWORD) is somebody


def test_tokens_are_stored_as_digests_and_revoked_by_name(session: Session) -> None:
    somebody, other = user(session), user(session)
    tokens = [create_token(session, somebody, name, NOW) for name in ("laptop", "laptop", "phone")]
    theirs = create_token(session, other, "laptop", NOW)
    assert len(set(tokens)) == 3
    stored = session.scalars(select(ApiToken.digest)).all()
    assert not set(tokens) & set(stored)
    assert [token.name for token in live_tokens(session)[somebody.id]] == ["laptop", "laptop", "phone"]
    assert revoke_tokens(session, somebody, "laptop", NOW) == 2
    assert revoke_tokens(session, somebody, "laptop", NOW) == 0
    session.flush()
    assert user_of_token(session, tokens[2]) is somebody
    assert user_of_token(session, theirs) is other
    for token in (*tokens[:2], "", "hub_", "hub_x", tokens[2] + " ", tokens[2].upper()):
        with pytest.raises(Unauthorized):
            user_of_token(session, token)


@pytest.mark.parametrize(("seen_ago", "due"), [(None, True), (0, False), (30, False), (31, True)])
def test_being_here_is_noted_now_and_then(session: Session, seen_ago: float | None, due: bool) -> None:
    somebody = user(session)
    somebody.seen_at = None if seen_ago is None else NOW - timedelta(seconds=seen_ago)
    assert needs_heartbeat(somebody, NOW) == due


def test_going_and_coming_back(session: Session) -> None:
    somebody = user(session)
    heartbeat(session, somebody.id, NOW)
    set_away(session, somebody.id, True, NOW)
    session.expire_all()
    found = session.get_one(User, somebody.id)
    assert (found.seen_at, found.away, found.away_since) == (NOW, True, NOW)


def test_there_is_no_such_user(session: Session) -> None:
    with pytest.raises(NotFound):
        find_user(session, "nobody@x.example")


@pytest.mark.parametrize(("zone", "kept"), [("Asia/Tokyo", "Asia/Tokyo"), ("Mars/North", None), ("", None)])
def test_the_zone_of_a_browser(session: Session, zone: str, kept: str | None) -> None:
    made = user(session)
    keep_zone(session, made.id, zone)
    session.refresh(made)
    assert made.time_zone == kept
