"""Who may not make themselves more than they are (contracts/gateways.md sections 2.2 and 3.10)."""

import asyncio

import pytest

from shared.database import environments, members, projects, workspaces
from shared.database.members import Member
from shared.domain.errors import IllegalStateError
from shared.domain.workspace import Membership, Role
from tests.integration.api.harness import Running
from tests.integration.api_gateways.people import Citizen, Town
from tests.support.builders import unique

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPT = "/api/workspaces/invitations/{}/accept"


async def members_of(citizen: Citizen) -> str:
    """Return where the members of somebody's workspace are."""
    return f"/api/workspaces/{await citizen.workspace()}/members"


async def invited(by: Citizen, path: str, email: str, role: str) -> int:
    """Invite an address; return the number of the invitation."""
    answer = await by.send("POST", path, {"email": email, "role": role}, status=201)
    number: int = answer["data"]["invitation"]["id"]
    return number


async def test_an_admin_of_some_places_widens_neither_themselves_nor_others(ada: Citizen, town: Town) -> None:
    path, project = await members_of(ada), await ada.project(unique("shop"))
    narrow = await town.colleague(ada, "admin", [f"{project}/master"])
    viewer = await town.colleague(ada, "viewer")

    await narrow.send("PATCH", f"{path}/{narrow.id}", {"role": "admin", "projectPermissions": "*"}, status=403)
    await narrow.send("POST", path, {"email": "eve@example.com", "role": "admin"}, status=403)
    await narrow.send("PATCH", f"{path}/{viewer.id}", {"role": "admin"}, status=403)
    await narrow.send("DELETE", f"{path}/{viewer.id}", status=403)

    assert [each["role"] for each in (await narrow.get(path))["data"]] == ["owner", "admin", "viewer"]


async def test_an_owner_of_some_places_still_owns_the_workspace(ada: Citizen) -> None:
    path, project = await members_of(ada), await ada.project(unique("shop"))
    narrowed = {"role": "owner", "projectPermissions": [f"{project}/master"]}
    await ada.send("PATCH", f"{path}/{ada.id}", narrowed)

    wide = await ada.send("PATCH", f"{path}/{ada.id}", {"role": "owner", "projectPermissions": "*"})

    assert wide["data"]["projectPermissions"] == "*"


async def test_an_invitation_is_for_its_address_and_for_none_that_is_like_it(ada: Citizen, town: Town) -> None:
    name = unique("stra")
    number = await invited(ada, await members_of(ada), f"{name}ße@example.com", "admin")
    eve = await town.citizen("Eve", email=f"{name}sse@example.com")

    assert (await eve.get("/api/workspaces/invitations/pending"))["data"] == []
    await eve.send("POST", ACCEPT.format(number), status=403)
    await eve.send("POST", f"/api/workspaces/invitations/{number}/decline", status=403)

    bo = await town.citizen("Bo", email=f"{name}ßE@example.com")
    await bo.send("POST", ACCEPT.format(number))


async def test_who_is_removed_or_demoted_leaves_no_back_door(ada: Citizen, town: Town) -> None:
    path = await members_of(ada)
    removed, demoted, admin = [await town.colleague(ada, "admin") for _ in range(3)]
    eve = await town.citizen("Eve")
    for_later = {who.id: f"{unique('alt')}@example.com" for who in (removed, demoted, admin)}
    numbers = {who.id: await invited(who, path, for_later[who.id], "admin") for who in (removed, demoted, admin)}
    by_the_owner = await invited(ada, path, eve.email, "viewer")

    await ada.send("DELETE", f"{path}/{removed.id}")
    await ada.send("PATCH", f"{path}/{demoted.id}", {"role": "dev"})
    await ada.send("PATCH", f"{path}/{admin.id}", {"role": "admin"})

    for who, status in ((removed, 400), (demoted, 400), (admin, 200)):
        alt = await town.citizen("Alt", email=for_later[who.id])
        assert (await alt.get("/api/workspaces/invitations/pending"))["count"] == (status == 200)
        await alt.send("POST", ACCEPT.format(numbers[who.id]), status=status)
    await eve.send("POST", ACCEPT.format(by_the_owner))
    await ada.send("POST", path, {"email": for_later[removed.id], "role": "viewer"}, status=201)


async def test_who_hands_a_workspace_over_does_not_come_back_as_its_owner(ada: Citizen, town: Town) -> None:
    slug, path = await ada.workspace(), await members_of(ada)
    bo = await town.colleague(ada, "viewer")
    alts = {role: f"{unique('alt')}@example.com" for role in ("owner", "dev")}
    numbers = {role: await invited(ada, path, email, role) for role, email in alts.items()}
    await ada.send("POST", "/api/workspaces", {"name": "Mine"}, status=201)

    await ada.send("POST", f"/api/workspaces/{slug}/transfer", {"email": bo.email})

    for role, status in (("owner", 400), ("dev", 200)):
        alt = await town.citizen("Alt", email=alts[role])
        await alt.send("POST", ACCEPT.format(numbers[role]), status=status)


async def test_an_invitation_counts_once_and_not_after_its_time(api: Running, ada: Citizen, town: Town) -> None:
    path, bo = await members_of(ada), await town.citizen("Bo")
    number = await invited(ada, path, bo.email, "dev")
    await api.db.execute("UPDATE invitations SET expires_at = now() - interval '1 second' WHERE id = $1", number)

    assert (await bo.get("/api/workspaces/invitations/pending"))["data"] == []
    await bo.send("POST", ACCEPT.format(number), status=400)
    again = await invited(ada, path, bo.email, "dev")
    answers = await asyncio.gather(*(bo.http.post(ACCEPT.format(again)) for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    await ada.send("DELETE", f"{path}/{bo.id}")
    await bo.send("POST", ACCEPT.format(again), status=400)
    await bo.get(f"/api/workspaces/{await ada.workspace()}", status=403)


async def test_nobody_invites_themselves_or_accepts_for_others(ada: Citizen, town: Town) -> None:
    path, eve = await members_of(ada), await town.citizen("Eve")

    await eve.send("POST", path, {"email": eve.email, "role": "owner"}, status=403)
    await ada.send("POST", path, {"email": ada.email, "role": "dev"}, status=409)
    number = await invited(ada, path, f"{unique('bo')}@example.com", "admin")
    await eve.send("POST", ACCEPT.format(number), status=403)


async def test_what_was_decided_on_a_role_does_not_count_after_it_has_changed(
    api: Running, ada: Citizen, town: Town
) -> None:
    bo = await town.colleague(ada, "viewer")
    found = await workspaces.find_workspace(api.db, await ada.workspace(), "nobody")
    assert found is not None
    account_id = found[0].id
    seen = await members.find_member(api.db, account_id, bo.id)
    assert seen is not None
    await members.update_member(api.db, account_id, seen, Membership(role=Role.OWNER))
    owner = await members.find_member(api.db, account_id, ada.id)
    assert owner is not None
    await members.remove_member(api.db, account_id, owner)

    async def changed(member: Member) -> None:
        await members.update_member(api.db, account_id, member, Membership(role=Role.DEV))

    with pytest.raises(IllegalStateError):
        await changed(seen)
    with pytest.raises(IllegalStateError):
        await members.remove_member(api.db, account_id, seen)
    assert [each.membership.role for each in await members.list_members(api.db, account_id)] == [Role.OWNER]


async def test_who_is_narrowed_to_a_place_follows_it_through_renames_that_did_not_see_each_other(
    api: Running, ada: Citizen, town: Town
) -> None:
    path, slug = await members_of(ada), await ada.project(unique("shop"))
    bo = await town.colleague(ada, "dev", [f"{slug}/master"])
    found = await projects.find_project(api.db, slug, "nobody")
    assert found is not None
    seen = found[0]
    master = await environments.find_environment(api.db, seen.id, "master")
    assert master is not None

    for end in ("b", "c"):
        await projects.update_project(api.db, seen, name="Shop", slug=f"{slug}-{end}", description=None)
        await environments.update_environment(api.db, seen, master, name="Master", slug=f"m-{end}", description=None)

    told = (await ada.get(f"{path}/{bo.id}/permissions"))["data"]
    assert told["projectPermissions"] == [f"{slug}-c/m-c"]
    await bo.get(f"/api/{slug}-c/m-c/functions")
