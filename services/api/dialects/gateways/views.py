"""
What the Gateways dialect shows of things (contracts/gateways.md sections 2.1, 3.10 and 3.13).

Ids are numbers; moments are ISO 8601 in UTC with milliseconds. What is always null or fixed is there because
clients read it: nobody has a picture, a second factor or another way to log in than their email.
"""

from typing import Any

from services.api.access.people import Caller
from services.api.operations.sign_in import SignedIn
from shared.database.activities import Activity
from shared.database.environments import ProjectEnvironment
from shared.database.members import Invitation, Member
from shared.database.people import Person
from shared.database.personal_keys import PersonalKey
from shared.database.projects import Linked, Project
from shared.database.sessions import Session
from shared.database.workspaces import Joined, Workspace
from shared.domain.moments import iso
from shared.domain.plan import PLANS, UNLIMITED, Plan
from shared.domain.workspace import EVERYWHERE, PERMISSIONS, Membership, Permission, Role

View = dict[str, Any]


def signed_in(session: SignedIn) -> View:
    """Return a session that was just opened, with its tokens."""
    person = session.person
    return {
        "user": {"id": person.number, "email": person.email, "name": person.name},
        "token": session.token,
        "refreshToken": session.refresh_token,
        "expiresAt": iso(session.expires_at),
    }


def person(of: Person) -> View:
    """Return what a user is told of themselves."""
    return {
        "id": of.number,
        "email": of.email,
        "name": of.name,
        "profileImage": None,
        "authProvider": "email",
        "emailVerified": False,
        "twoFactorEnabled": False,
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def session(of: Session, caller: Caller, *, is_over: bool) -> View:
    """Return one of the caller's sessions; ``is_over`` says that its time is."""
    return {
        "id": of.id,
        "deviceInfo": of.user_agent,
        "ipAddress": of.address,
        "userAgent": of.user_agent,
        "isActive": of.ended_at is None and not is_over,
        "expiresAt": iso(of.expires_at),
        "lastActivity": iso(of.last_used_at),
        "createdAt": iso(of.created_at),
        "isCurrentSession": of.id == caller.session_id,
        "isExpired": is_over,
    }


def key(of: PersonalKey) -> View:
    """Return a key without the key itself."""
    return {
        "id": of.id,
        "name": of.name,
        "keyPrefix": of.prefix,
        "lastUsedAt": None if of.last_used_at is None else iso(of.last_used_at),
        "createdAt": iso(of.created_at),
    }


def workspace(of: Workspace) -> View:
    """Return a workspace."""
    return {
        "id": of.number,
        "name": of.name,
        "slug": of.slug,
        "description": of.description,
        "profileImage": None,
        "planId": PLANS[of.plan].number if of.plan in PLANS else None,
        "isActive": True,
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def joined(of: Joined) -> View:
    """Return a workspace as somebody is in it."""
    return {**workspace(of.workspace), "userRole": of.membership.role, "joinedAt": iso(of.joined_at)}


def permissions(role: Role) -> View:
    """Return what a role allows, by name."""
    return {permission.value: permission in PERMISSIONS[role] for permission in Permission}


def places(membership: Membership) -> str | list[str] | None:
    """Return where a member may be: null, ``"*"`` or a list."""
    if membership.places is None:
        return None
    return EVERYWHERE if EVERYWHERE in membership.places else list(membership.places)


def narrowed(membership: Membership) -> View | None:
    """Return what a member has besides their role."""
    return None if membership.places is None else {"projectPermissions": places(membership)}


def member(of: Member, workspace_number: int) -> View:
    """Return a member of a workspace."""
    return {
        "id": of.id,
        "workspaceId": workspace_number,
        "userId": of.user_number,
        "role": of.membership.role,
        "permissions": narrowed(of.membership),
        "projectPermissions": places(of.membership),
        "isActive": True,
        "joinedAt": iso(of.joined_at),
        "updatedAt": iso(of.updated_at),
        "user": {"id": of.user_number, "name": of.name, "email": of.email, "profileImage": None},
    }


def invitation(of: Invitation) -> View:
    """Return an invitation, as whoever is invited sees it."""
    return {
        "id": of.id,
        "workspaceId": of.workspace_number,
        "workspaceName": of.workspace_name,
        "workspaceSlug": of.workspace_slug,
        "workspaceProfileImage": None,
        "email": of.email,
        "role": of.membership.role,
        "permissions": narrowed(of.membership),
        "projectPermissions": places(of.membership),
        "status": of.status,
        "invitedBy": of.inviter_number,
        "invitedByName": of.inviter_name,
        "invitedByEmail": of.inviter_email,
        "expiresAt": iso(of.expires_at),
        "acceptedAt": None if of.accepted_at is None else iso(of.accepted_at),
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def project(of: Project) -> View:
    """Return a project, with the cloud it is linked to."""
    return {
        "id": of.number,
        "userId": of.user_number,
        "workspaceId": of.workspace_number,
        "name": of.name,
        "slug": of.slug,
        "description": of.description,
        "workspaceSlug": of.workspace_slug,
        "isDefault": of.is_default,
        "isActive": of.deleted_at is None,
        "connectedCloudId": None if of.linked is None else of.linked.number,
        "connectedCloud": None if of.linked is None else _linked(of.linked),
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def _linked(of: Linked) -> View:
    return {
        "id": of.number,
        "cloudType": of.provider.upper(),
        "accountId": of.cloud_account_id,
        "accountName": of.name,
        "roleArn": of.role_arn,
    }


def environment(of: ProjectEnvironment, project_number: int) -> View:
    """Return an environment of a project."""
    return {
        "id": of.number,
        "projectId": project_number,
        "name": of.name,
        "slug": of.slug,
        "description": of.description,
        "isDefault": of.is_default,
        "isActive": of.deleted_at is None,
        "createdAt": iso(of.created_at),
        "updatedAt": iso(of.updated_at),
    }


def activity(of: Activity) -> View:
    """Return an activity; the place it was in is null when it is gone."""
    return {
        "id": of.id,
        "userId": of.user_number,
        "projectId": of.project_number,
        "environmentId": of.environment_number,
        "user": {"id": of.user_number, "name": of.user_name, "profileImage": None},
        "project": None if of.project_slug is None else {"slug": of.project_slug, "name": of.project_name},
        "environment": None
        if of.environment_slug is None
        else {"slug": of.environment_slug, "name": of.environment_name},
        "resourceType": of.resource_type,
        "resourceId": of.resource_number,
        "action": of.action,
        "description": of.description,
        "metadata": of.metadata,
        "createdAt": iso(of.created_at),
    }


def plan(of: Plan) -> View:
    """Return a pricing plan; nothing is sold, so none has a price."""
    return {
        "id": of.number,
        "name": of.name,
        "slug": of.slug,
        "description": of.description,
        "price": 0,
        "pricePeriod": "month",
        "isActive": True,
        "restrictions": {
            "max_projects": of.projects,
            "max_environments_per_project": of.environments_per_project,
            "max_resources": of.resources,
            "max_resources_per_project": of.resources_per_project,
            "max_cloud_connections": of.cloud_connections,
            "max_workspace_members": of.members,
            "features_disabled": [],
        },
        "features": [],
    }


def used(current: int, limit: int) -> View:
    """Return how much of a limit is used."""
    unlimited = limit == UNLIMITED
    return {
        "current": current,
        "limit": None if unlimited else limit,
        "percentage": None if unlimited else min(100, round(100 * current / limit)),
        "unlimited": unlimited,
    }
