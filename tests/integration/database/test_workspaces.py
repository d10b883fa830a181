"""Workspaces, members, projects and environments as rows: slugs, defaults, limits, places that follow a rename."""

import asyncio

import asyncpg
import pytest

from shared.database import accounts, environments, members, migrate, people, projects, slugs, workspaces
from shared.database.environments import NewEnvironment
from shared.database.members import NewInvitation
from shared.database.people import NewPerson, Person
from shared.database.pool import Connection, Database
from shared.database.projects import NewProject, Project
from shared.database.workspaces import NewWorkspace, Workspace
from shared.domain.errors import InvalidRequestError, NameTakenError, QuotaExceededError
from shared.domain.ids import new_record_id
from shared.domain.workspace import Membership, Role

OWNER = Membership(role=Role.OWNER)


async def a_workspace(db: Database, name: str = "Acme") -> Workspace:
    async def work(connection: Connection) -> Workspace:
        return await workspaces.insert_workspace(
            connection, NewWorkspace(name=name, description=None, plan="unlimited")
        )

    return await db.in_transaction(work)


async def a_person(db: Database, workspace: Workspace, membership: Membership = OWNER) -> Person:
    user_id = new_record_id()
    new = NewPerson(
        id=user_id, account_id=workspace.id, email=f"{user_id}@Example.com", password_hash="-", name="Ada B. Lovelace"
    )
    await people.insert_person(db, new)
    assert await workspaces.add_member(db, workspace.id, user_id, membership)
    found = await people.find_person(db, user_id)
    assert found is not None
    return found


async def a_project(db: Database, workspace: Workspace, person: Person, name: str, most: int | None = None) -> Project:
    new = NewProject(name=name, description=None, user_id=person.id, most=most)
    return await projects.add_project(db, workspace, new)


async def defaults_of(db: Database, person: Person) -> list[str]:
    return [each.slug for each in await projects.list_projects(db, person.id) if each.is_default]


async def test_those_who_ask_for_the_same_name_at_once_get_slugs_of_their_own(db: Database) -> None:
    made = await asyncio.gather(*(a_workspace(db, "Our Team") for _ in range(8)))

    assert {each.slug for each in made} == {"our-team", *(f"our-team-{number}" for number in range(2, 9))}
    assert len({each.number for each in made}) == 8


async def test_a_reserved_slug_is_never_given_out(db: Database) -> None:
    assert (await a_workspace(db, "Roles")).slug == "roles-2"
    assert await slugs.is_taken(db, "projects", "check-name")


async def test_whoever_chooses_a_slug_never_collides_with_those_who_are_given_theirs(db: Database) -> None:
    workspace = await a_workspace(db)
    person = await a_person(db, workspace)
    chosen = [await a_project(db, workspace, person, f"Other {letter}") for letter in "abc"]

    async def choose(project: Project, slug: str) -> Project | NameTakenError:
        try:
            return await projects.update_project(db, project, name="Shop", slug=slug, description=None)
        except NameTakenError as taken:
            return taken

    await asyncio.gather(
        *(a_project(db, workspace, person, "Shop") for _ in range(5)),
        *(choose(project, f"shop-{number}") for number, project in enumerate(chosen, 2)),
    )

    listed = await projects.list_projects(db, person.id)
    assert len(listed) == 8
    assert len({each.slug for each in listed}) == 8


async def test_a_name_that_ends_like_a_numbered_slug_collides_with_none(db: Database) -> None:
    made = [(await a_workspace(db, name)).slug for name in ("A 2", "A", "A", "A 2", "A 99999999999", "A")]

    assert made == ["a-2", "a", "a-3", "a-2-2", "a-99999999999", "a-4"]


async def test_every_account_has_slugs_of_its_own(db: Database) -> None:
    for _ in range(2):
        await accounts.add_account(db, "customer", new_record_id(), "sl_")

    rows = await db.fetch("SELECT a.slug, p.slug AS project FROM accounts a JOIN projects p ON p.account_id = a.id")
    assert sorted((row["slug"], row["project"]) for row in rows) == [
        ("customer", "default"),
        ("customer-2", "default-2"),
    ]


async def test_a_person_is_found_however_the_email_is_written_and_keeps_their_name(db: Database) -> None:
    person = await a_person(db, await a_workspace(db))

    found = await people.find_person_by_email(db, person.email.upper())

    assert found == person
    assert person.name == "Ada B. Lovelace"
    with pytest.raises(NameTakenError):
        await people.insert_person(
            db,
            NewPerson(
                id=new_record_id(),
                account_id=(await a_workspace(db)).id,
                email=person.email.lower(),
                password_hash="-",
                name="x",
            ),
        )


async def test_the_first_project_is_the_default_and_passes_it_on_when_it_goes(db: Database) -> None:
    workspace = await a_workspace(db)
    person = await a_person(db, workspace)
    first, second = [await a_project(db, workspace, person, name) for name in ("One", "Two")]
    assert (first.is_default, second.is_default) == (True, False)

    await projects.delete_project(db, first)
    assert await defaults_of(db, person) == ["two"]
    assert await projects.find_project(db, "one", person.id) is None

    await projects.delete_project(db, second)
    third = await a_project(db, workspace, person, "Three")
    assert third.is_default
    assert (await a_project(db, workspace, person, "One")).slug == "one-2"
    shown = await projects.list_projects(db, person.id, with_deleted=True)
    assert [(each.slug, each.is_default) for each in shown if each.is_default] == [("three", True)]


async def test_no_more_projects_are_made_at_once_than_the_plan_allows(db: Database) -> None:
    workspace = await a_workspace(db)
    person = await a_person(db, workspace)

    made = await asyncio.gather(
        *(a_project(db, workspace, person, "P", most=2) for _ in range(5)), return_exceptions=True
    )

    refused = [each for each in made if isinstance(each, QuotaExceededError)]
    assert len(refused) == 3
    assert refused[0].fields == {"limit": 2, "currentValue": 2}


async def test_environments_are_unique_in_their_project_and_have_one_default(db: Database) -> None:
    workspace = await a_workspace(db)
    person = await a_person(db, workspace)
    project = await a_project(db, workspace, person, "Shop")
    new = NewEnvironment(name="Live", description="d", is_default=True, most=None)
    live = await environments.add_environment(db, project, new)
    again = await environments.add_environment(
        db, project, NewEnvironment(name="Live", description=None, is_default=False, most=None)
    )

    assert (live.slug, again.slug) == ("live", "live-2")
    listed = await environments.list_environments(db, project.id)
    assert [(each.slug, each.is_default) for each in listed] == [("master", False), ("live", True), ("live-2", False)]
    with pytest.raises(NameTakenError):
        await environments.update_environment(db, project, again, name="x", slug="live", description=None)
    await environments.delete_environment(db, project, live)
    listed = await environments.list_environments(db, project.id)
    assert [(each.slug, each.is_default) for each in listed] == [("master", True), ("live-2", False)]


async def test_whoever_is_narrowed_to_places_follows_their_new_slugs(db: Database) -> None:
    workspace = await a_workspace(db)
    owner = await a_person(db, workspace)
    project = await a_project(db, workspace, owner, "Shop")
    narrow = await a_person(db, workspace, Membership(role=Role.DEV, places=("shop/master", "shop-2/*")))
    master = await environments.find_environment(db, project.id, "master")
    assert master is not None

    await environments.update_environment(db, project, master, name="m", slug="main", description=None)
    await projects.update_project(db, project, name="Store", slug="store", description=None)

    found = await members.find_member(db, workspace.id, narrow.number)
    assert found is not None
    assert found.membership.places == ("store/main", "shop-2/*")
    assert [each.slug for each in await projects.list_projects(db, narrow.id)] == ["store"]


async def test_a_workspace_keeps_an_owner_even_when_two_leave_at_once(db: Database) -> None:
    workspace = await a_workspace(db)
    owners = [await a_person(db, workspace) for _ in range(2)]
    found = [await members.find_member(db, workspace.id, each.number) for each in owners]

    left = await asyncio.gather(
        *(members.remove_member(db, workspace.id, each) for each in found if each is not None),
        return_exceptions=True,
    )

    assert sum(isinstance(each, InvalidRequestError) for each in left) == 1
    assert len(await members.list_members(db, workspace.id)) == 1


async def test_an_invitation_whose_time_is_over_makes_way_for_another(db: Database) -> None:
    workspace = await a_workspace(db)
    owner = await a_person(db, workspace)

    async def invite(valid_s: float) -> int:
        new = NewInvitation(
            account_id=workspace.id,
            email="bo@example.com",
            membership=Membership(role=Role.DEV),
            invited_by=owner.id,
            valid_s=valid_s,
        )

        async def work(connection: Connection) -> int:
            return (await members.insert_invitation(connection, new)).id

        return await db.in_transaction(work)

    over = await invite(-1)
    assert await members.pending_invitations(db, "bo@example.com") == []
    assert not await members.settle_invitation(db, over, "accepted")
    pending = await invite(60)
    with pytest.raises(NameTakenError):
        await invite(60)
    assert [each.id for each in await members.pending_invitations(db, "BO@example.com")] == [pending]
    assert await members.settle_invitation(db, pending, "accepted")
    assert not await members.settle_invitation(db, pending, "cancelled")


async def test_a_deleted_workspace_is_found_by_nobody_and_opens_nobodys_program(db: Database) -> None:
    workspace, other = await a_workspace(db), await a_workspace(db)
    person = await a_person(db, workspace)
    await workspaces.add_member(db, other.id, person.id, OWNER)
    assert person.default_workspace == workspace.number

    await db.in_transaction(lambda connection: workspaces.delete_workspace(connection, workspace.id))

    assert await workspaces.find_workspace(db, workspace.slug, person.id) is None
    assert [each.workspace for each in await workspaces.workspaces_of(db, person.id)] == [other]
    found = await people.find_person(db, person.id)
    assert found is not None
    assert found.default_workspace == other.number


async def test_older_accounts_become_workspaces_that_their_administrator_owns(empty_database_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty_database_url, "0004")
    connection = await asyncpg.connect(empty_database_url)
    try:
        for number, name in enumerate(("My  Team_1!", "my team 1", "***", "roles")):
            await connection.execute("INSERT INTO accounts (id, name) VALUES ($1, $2)", f"a{number}", name)
            await connection.execute(
                "INSERT INTO projects (id, account_id, slug, name, is_default) VALUES ($1, $2, 'default', 'd', true)",
                f"p{number}",
                f"a{number}",
            )
        for user, role in (("u1", "admin"), ("u2", "user u2")):
            await connection.execute(
                "INSERT INTO users (id, account_id, email, password_hash) VALUES ($1, 'a0', $1, '-')", user
            )
            await connection.execute("INSERT INTO roles (id, account_id, name) VALUES ($1, 'a0', $2)", user, role)
            await connection.execute("INSERT INTO user_roles (user_id, role_id) VALUES ($1, $1)", user)

        await asyncio.to_thread(migrate.upgrade, empty_database_url, "0007")

        workspaces_there = await connection.fetch("SELECT id, slug FROM accounts ORDER BY id")
        projects_there = await connection.fetch("SELECT slug FROM projects ORDER BY slug")
        owners = await connection.fetch("SELECT account_id, user_id, role FROM members")
    finally:
        await connection.close()
    assert [tuple(row) for row in workspaces_there] == [
        ("a0", "my-team-1"),
        ("a1", "my-team-1-a1"),
        ("a2", "untitled"),
        ("a3", "roles-a3"),
    ]
    assert [row["slug"] for row in projects_there] == ["default", "default-2", "default-3", "default-4"]
    assert [tuple(row) for row in owners] == [("a0", "u1", "owner")]
