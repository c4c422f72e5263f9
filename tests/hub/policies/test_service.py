"""Which policy rules, and that every one that ever ruled is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.database import Database
from hub.errors import Conflict, NotFound
from hub.policies.models import PolicyVersion
from hub.policies.service import (
    activate,
    activate_configured,
    activate_version,
    active_policy,
    active_since,
    active_version,
    check,
    policy_of,
    policy_text,
    step_back,
)
from hub.settings import Settings
from routing.policy import DEFAULT_POLICY, PolicyError
from tests.factories import NOW

OTHER = DEFAULT_POLICY.replace("currency: EUR", "currency: CHF", 1).replace(
    "  CHF: 1.05\n", "  EUR: 0.95\n", 1
)
LATER = NOW + timedelta(hours=1)


def test_the_last_one_activated_rules(database: Database) -> None:
    with database.session() as session:
        first = activate(session, DEFAULT_POLICY, NOW)
        second = activate(session, OTHER, LATER)
        assert first.version_id != second.version_id
        assert active_policy(session).policy.currency == "CHF"
        back = activate(session, DEFAULT_POLICY, LATER + timedelta(hours=1))
        # A text that ruled before gets its old version back.
        assert back.version_id == first.version_id == active_policy(session).version_id
        assert len(session.scalars(select(PolicyVersion)).all()) == 2


def test_activating_what_rules_changes_nothing(database: Database) -> None:
    with database.session() as session:
        for now in (NOW, LATER):
            activate(session, DEFAULT_POLICY, now)
        active = active_since(session)
        assert (active.version.created_at, active.activated_at) == (NOW, NOW)
        assert active.version.source == DEFAULT_POLICY


def test_two_that_start_together_agree(database: Database) -> None:
    def start() -> int:
        with database.session() as session:
            return activate(session, DEFAULT_POLICY, NOW).version_id

    with ThreadPoolExecutor() as pool:
        with database.session() as session:
            first = activate(session, DEFAULT_POLICY, NOW).version_id
            second = pool.submit(start)
            # It cannot end before we do, and has time to find that there is none yet.
            assert not wait([second], 0.3).done
        assert second.result(30) == first


def test_a_policy_that_cannot_be_used_changes_nothing(database: Database) -> None:
    with database.session() as session:
        activate(session, DEFAULT_POLICY, NOW)
        with pytest.raises(PolicyError):
            activate(session, "time_zone: Mars/Olympus", LATER)
        assert active_version(session).source == DEFAULT_POLICY


def test_without_any_somebody_forgot_to_start_the_hub(database: Database) -> None:
    with database.reading() as session, pytest.raises(LookupError, match="when it starts"):
        active_policy(session)


def test_where_the_text_comes_from(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert policy_text(settings) == DEFAULT_POLICY
    (tmp_path / "policy.yaml").write_text("a: 1")
    assert policy_text(settings) == "a: 1"
    named = tmp_path / "other.yaml"
    with pytest.raises(OSError, match=r"other\.yaml"):
        policy_text(Settings(home=tmp_path, policy_file=named))
    named.write_text("b: 2")
    assert policy_text(Settings(home=tmp_path, policy_file=named)) == "b: 2"


def test_one_step_back_and_forth(database: Database) -> None:
    with database.session() as session:
        first = activate(session, DEFAULT_POLICY, NOW)
        with pytest.raises(Conflict, match="no other version"):
            step_back(session, NOW, None)
        second = activate(session, OTHER, LATER)
        for expected in (first, second, first):
            assert step_back(session, LATER, None).version_id == expected.version_id
        assert activate_version(session, second.version_id, LATER, None).policy.currency == "CHF"
        with pytest.raises(NotFound, match="no version 99"):
            activate_version(session, 99, LATER, None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_ruled_rules_on_though_it_would_be_refused_by_now(session: Session) -> None:
    """As after an update to a hub whose check finds more."""
    faulty = DEFAULT_POLICY.partition("\nwarnings:")[0] + "\nwarnings: [{at: 0%, to: [team]}]\n"
    assert [problem.field for problem in check(faulty)] == ["warnings[0].at"]
    with pytest.raises(PolicyError):
        activate(session, faulty, NOW)
    version = activate(session, faulty, NOW, ruled=True).version_id
    assert active_policy(session).policy.warnings[0].at == "0%"
    activate(session, OTHER, LATER)
    assert policy_of(session, version).currency == "EUR"
    assert step_back(session, LATER, None).version_id == version
    activate(session, OTHER, LATER)
    assert activate_version(session, version, LATER, None).version_id == version


def test_what_a_person_activated_outlives_a_restart_and_a_new_file_rules(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    file = tmp_path / "policy.yaml"

    def start() -> tuple[str, str]:
        with database.session() as session:
            activate_configured(session, settings, NOW)
            active = active_since(session)
            return active.version.source, active.origin

    def person(text: str) -> None:
        with database.session() as session:
            activate(session, text, NOW)

    assert start() == (DEFAULT_POLICY, "built-in")
    person(OTHER)
    assert start() == (OTHER, "person")
    file.write_text(DEFAULT_POLICY)
    assert start() == (DEFAULT_POLICY, "file")
    person(OTHER)
    assert start() == (OTHER, "person")
    file.write_text(DEFAULT_POLICY + "# changed\n")
    assert start() == (DEFAULT_POLICY + "# changed\n", "file")
    file.unlink()
    assert start() == (DEFAULT_POLICY + "# changed\n", "file")
