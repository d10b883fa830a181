"""What each role may do and where, and what slugs names become."""

import pytest

from shared.domain.slug import is_slug, slug_of
from shared.domain.workspace import PERMISSIONS, Membership, Permission, Role

RESOURCES = {
    Permission.VIEW_RESOURCES,
    Permission.CREATE_RESOURCES,
    Permission.UPDATE_RESOURCES,
    Permission.DELETE_RESOURCES,
}
MAY = {
    Role.OWNER: set(Permission),
    Role.ADMIN: set(Permission) - {Permission.MANAGE_WORKSPACE},
    Role.DEV: RESOURCES | {Permission.MANAGE_PROJECTS, Permission.MANAGE_ENVIRONMENTS, Permission.VIEW_ACTIVITIES},
    Role.BILLING: {Permission.VIEW_RESOURCES, Permission.VIEW_ACTIVITIES, Permission.MANAGE_BILLING},
    Role.VIEWER: {Permission.VIEW_RESOURCES, Permission.VIEW_ACTIVITIES},
    Role.MEMBER: {Permission.VIEW_RESOURCES, Permission.VIEW_ACTIVITIES},
}


@pytest.mark.parametrize("role", Role)
def test_each_role_allows_what_the_contract_says(role: Role) -> None:
    assert PERMISSIONS[role] == MAY[role]
    assert {each for each in Permission if Membership(role=role).may(each)} == MAY[role]


@pytest.mark.parametrize(
    ("places", "inside", "outside"),
    [
        (None, [("a", None), ("a", "e")], []),
        (("*",), [("a", None), ("a", "e")], []),
        ((), [], [("a", None), ("a", "e")]),
        (("a/e",), [("a", None), ("a", "e")], [("a", "f"), ("b", None), ("b", "e")]),
        (("a/*",), [("a", None), ("a", "e"), ("a", "f")], [("b", "e"), ("aa", None), ("aa", "e")]),
    ],
)
def test_a_member_is_kept_to_their_places(
    places: tuple[str, ...] | None, inside: list[tuple[str, str | None]], outside: list[tuple[str, str | None]]
) -> None:
    member = Membership(role=Role.DEV, places=places)

    assert all(member.may_be_in(*place) for place in inside)
    assert not any(member.may_be_in(*place) for place in outside)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("My  Shop_1!", "my-shop-1"),
        ("API-Server@2024", "api-server2024"),
        ("---Special---", "special"),
        ("   Spaces   ", "spaces"),
        ("Dev_Test", "dev-test"),
        ("John's Workspace", "johns-workspace"),
        ("Größe", "gre"),
        ("a\t\n\u00a0b", "a-b"),
        ("***", "untitled"),
        ("", "untitled"),
    ],
)
def test_a_name_becomes_a_slug(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@pytest.mark.parametrize("text", ["", "-a", "a-", "a--b", "A", "a_b", "é", "a/b", "x" * 101, "users", "roles", "a\n"])
def test_what_is_no_slug_is_not_taken_for_one(text: str) -> None:
    assert not is_slug(text)


@pytest.mark.parametrize("text", ["a", "a-1", "x" * 100, "user"])
def test_slugs_may_be_chosen(text: str) -> None:
    assert is_slug(text)
