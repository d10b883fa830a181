"""``/api/users``: the caller's profile, sessions and API keys (contracts/gateways.md section 2.1)."""

from datetime import UTC, datetime

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done, listed
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import OPTIONAL_TEXT, TEXT, Entry, Parameters
from services.api.operations import members, profile, sign_in, workspaces
from shared.domain.errors import InvalidRequestError

_PROFILE = "/api/users/profile"
_SESSIONS = "/api/users/sessions"
_KEYS = "/api/users/api-keys"
_PAGE = 10
_MAX_PAGE = 100


async def show_profile(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    joined = await workspaces.list_workspaces(door.platform, caller)
    invitations = await members.pending_invitations(door.platform, caller)
    return done(
        "Profile retrieved successfully",
        {
            **views.person(caller.person),
            "defaultWorkspaceId": caller.person.default_workspace,
            "workspaces": [
                {**views.joined(each), "permissions": views.permissions(each.membership.role)} for each in joined
            ],
            "pendingInvitationsCount": len(invitations),
            "pendingInvitations": [views.invitation(each) for each in invitations],
        },
    )


async def update_profile(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request)
    if not body.keys() & {"name", "email"}:
        raise InvalidRequestError("No fields provided to update", field="body", issue="empty")
    person = await profile.update_profile(
        door.platform,
        caller,
        name=" ".join(bodies.name(body).split()) if "name" in body else None,
        email=bodies.email(body) if "email" in body else None,
    )
    return done("Profile updated successfully", views.person(person))


async def change_password(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request)
    current, wanted = bodies.text(body, "currentPassword"), bodies.text(body, "newPassword")
    await sign_in.change_password(door.platform, door.desk, caller, current, wanted)
    return done("Password changed successfully. Please login again with your new password.")


async def give_up_account(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request)
    await sign_in.give_up_account(door.platform, door.desk, caller, bodies.text(body, "password"))
    return done("Account deleted successfully")


async def show_sessions(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    page = bodies.whole(request, "page", 1, least=1, most=100_000)
    limit = bodies.whole(request, "limit", _PAGE, least=1, most=_MAX_PAGE)
    found, total = await profile.list_sessions(door.platform, caller, limit=limit, offset=(page - 1) * limit)
    now = datetime.now(UTC)
    pages = -(-total // limit)
    return done(
        "Sessions retrieved successfully",
        [views.session(each, caller, is_over=each.expires_at <= now) for each in found],
        pagination={
            "page": page,
            "limit": limit,
            "total": total,
            "totalPages": pages,
            "hasNextPage": page < pages,
            "hasPrevPage": page > 1,
        },
    )


async def cancel_session(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    await profile.cancel_session(door.platform, caller, bodies.number(parameters["sessionId"], "session"))
    return done("Session cancelled successfully")


async def show_keys(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    found = await profile.list_keys(door.platform, await door.caller(request))
    return listed("API keys retrieved successfully", [views.key(each) for each in found])


async def create_key(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    body = await bodies.read_object(request, required=False)
    made = await profile.create_key(door.platform, caller, bodies.key_name(body))
    response = done(
        "Store this key securely; it will not be shown again.",
        {"id": made.key.id, "name": made.key.name, "keyPrefix": made.key.prefix, "secret": made.plain},
        201,
    )
    response.headers["Cache-Control"] = "no-store"
    return response


async def revoke_key(door: Door, request: web.BaseRequest, parameters: Parameters) -> web.Response:
    caller = await door.caller(request)
    await profile.revoke_key(door.platform, caller, bodies.number(parameters["id"], "API key"))
    return done("API key revoked successfully")


ENTRIES = (
    Entry(
        method="GET",
        path=_PROFILE,
        handler=show_profile,
        name="Profile",
        summary="The caller, their workspaces and what they are invited to",
    ),
    Entry(
        method="PATCH",
        path=_PROFILE,
        handler=update_profile,
        name="UpdateProfile",
        summary="Change the caller's name or email",
        body={"name": TEXT, "email": TEXT},
    ),
    Entry(
        method="POST",
        path="/api/users/change-password",
        handler=change_password,
        name="ChangePassword",
        summary="Change the caller's password; their other sessions end",
        body={"currentPassword": TEXT, "newPassword": TEXT},
        required=("currentPassword", "newPassword"),
    ),
    Entry(
        method="DELETE",
        path="/api/users/account",
        handler=give_up_account,
        name="DeleteAccount",
        summary="Let nobody log in as the caller any more",
        body={"password": TEXT},
        required=("password",),
    ),
    Entry(
        method="GET",
        path=_SESSIONS,
        handler=show_sessions,
        name="Sessions",
        summary="The caller's sessions, newest first",
        query=("page", "limit"),
    ),
    Entry(
        method="DELETE",
        path=_SESSIONS + "/{sessionId}",
        handler=cancel_session,
        name="CancelSession",
        summary="End one of the caller's sessions",
    ),
    Entry(
        method="GET", path=_KEYS, handler=show_keys, name="ApiKeys", summary="The caller's API keys, without the keys"
    ),
    Entry(
        method="POST",
        path=_KEYS,
        handler=create_key,
        name="CreateApiKey",
        summary="Make an API key that acts as the caller; it is shown once",
        status="201",
        body={"name": OPTIONAL_TEXT},
    ),
    Entry(
        method="DELETE",
        path=_KEYS + "/{id}",
        handler=revoke_key,
        name="RevokeApiKey",
        summary="Revoke an API key at once",
    ),
)
