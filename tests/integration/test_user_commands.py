"""``./tidemill user`` and ``role``: what an operator does about users, on a database with the first account in it."""

from datetime import UTC, datetime, timedelta

import pytest

from services.__main__ import parse
from shared.crypto.passwords import verify_password
from shared.database import access
from shared.database.access import NewTokens
from shared.domain.ids import is_record_id
from tests.integration.database.world import ADMIN
from tests.integration.shell import Operator


@pytest.fixture
def operator(database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(database_url, capsys, monkeypatch)


def test_a_user_is_added_with_permissions_and_roles_and_shown(operator: Operator) -> None:
    (role_id,) = operator.run("role", "add", "readers", "--permission", "VIEW_TASKS", "--description", "Who may look")
    (user_id,) = operator.run("user", "add", "bo@example.com", "--permission", "CREATE_TASKS", "--role", "readers")

    assert is_record_id(role_id)
    assert is_record_id(user_id)
    assert operator.user("bo@example.com").permissions == ("CREATE_TASKS", "VIEW_TASKS")
    shown = operator.run("user", "show", "BO@example.com")
    assert f"id           {user_id}" in shown
    assert "role         readers" in shown
    assert shown[-2:] == ["permission   CREATE_TASKS", "permission   VIEW_TASKS"]
    assert operator.run("role", "show", "readers") == [
        f"id           {role_id}",
        "name         readers",
        "description  Who may look",
        "permission   VIEW_TASKS",
    ]


def test_users_and_roles_are_listed(operator: Operator) -> None:
    operator.run("role", "add", "readers")
    operator.run("user", "add", "bo@example.com", "--role", "readers")

    users = [line.split("  ", 1)[1] for line in operator.run("user", "list")]
    roles = [line.split("  ", 1)[1] for line in operator.run("role", "list")]

    assert [line.split("  ")[0] for line in users] == ["bo@example.com", ADMIN.email]
    assert "readers" in users[0]
    assert users[1].endswith("  admin")
    assert roles[0] == "admin  Everything"
    assert roles[1] == "readers"


def test_roles_are_given_and_taken_and_changed(operator: Operator) -> None:
    operator.run("user", "add", "bo@example.com")
    operator.run("role", "add", "readers", "--permission", "VIEW_TASKS")
    operator.run("role", "add", "writers", "--permission", "CREATE_TASKS")

    operator.run("user", "grant", "bo@example.com", "readers", "writers")
    assert operator.user("bo@example.com").permissions == ("CREATE_TASKS", "VIEW_TASKS")
    operator.run("user", "revoke", "bo@example.com", "writers")
    assert operator.user("bo@example.com").permissions == ("VIEW_TASKS",)
    operator.run("role", "allow", "readers", "EXECUTE_API_FUNCTION:greeter", "anything")
    operator.run("role", "deny", "readers", "VIEW_TASKS")
    assert operator.user("bo@example.com").permissions == ("EXECUTE_API_FUNCTION:greeter", "anything")
    operator.run("role", "remove", "readers")
    assert operator.user("bo@example.com").permissions == ()


def test_another_password_lets_nobody_in_who_came_with_the_old_one(operator: Operator) -> None:
    (user_id,) = operator.run("user", "add", "bo@example.com")
    later = datetime.now(UTC) + timedelta(days=1)
    tokens = NewTokens(
        access_sha256="1" * 64,
        access_expires_at=later,
        refresh_sha256="2" * 64,
        refresh_expires_at=later,
        user_id=user_id,
        application_id=operator.first.application_id,
    )
    operator.ask(lambda db: access.insert_tokens(db, tokens))

    operator.run("user", "password", "bo@example.com", typed="another password")

    assert verify_password("another password", operator.user("bo@example.com").password_hash)
    assert operator.ask(lambda db: access.find_access_token(db, "1" * 64)) is None
    assert operator.ask(lambda db: access.use_refresh_token(db, "2" * 64)) is None


def test_a_user_who_is_removed_is_gone(operator: Operator) -> None:
    operator.run("user", "add", "bo@example.com", "--permission", "VIEW_TASKS")
    assert len(operator.run("role", "list")) == 2

    operator.run("user", "remove", "bo@example.com")

    assert len(operator.run("role", "list")) == 1
    assert operator.ask(lambda db: access.find_user_by_email(db, "bo@example.com")) is None
    assert operator.refused("user", "show", "bo@example.com") == "tidemill: there is no user bo@example.com"


def test_what_cannot_be_done_is_said_in_words_and_changes_nothing(operator: Operator) -> None:
    operator.run("user", "add", "bo@example.com")
    operator.run("role", "add", "readers")

    assert "8 to 1024 characters" in operator.refused("user", "add", "cy@example.com", typed="short")
    assert "8 to 1024 characters" in operator.refused("user", "password", "bo@example.com", typed="short")
    assert "BO@example.com already" in operator.refused("user", "add", "BO@example.com")
    assert "no role writers" in operator.refused("user", "add", "cy@example.com", "--role", "writers")
    assert "no role writers" in operator.refused("user", "grant", "bo@example.com", "readers", "writers")
    assert "no user cy@example.com" in operator.refused("user", "grant", "cy@example.com", "readers")
    assert "readers already" in operator.refused("role", "add", "readers")
    assert "no role writers" in operator.refused("role", "allow", "writers", "A")
    assert len(operator.run("user", "list")) == 2
    assert operator.user("bo@example.com").permissions == ()


def test_the_data_directory_may_stand_before_and_behind_the_verb() -> None:
    for words in (["--data-dir", "/d", "list"], ["list", "--data-dir", "/d"]):
        for command in ("user", "role", "application"):
            assert parse([command, *words]).data_dir == "/d"
    assert parse(["user", "list"]).data_dir is None
