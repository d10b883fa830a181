"""
Workspaces: what each role may do, and where.

A role is a fixed set of permissions; a member may be narrowed to some places, "project/environment" or
"project/*", by slug (contracts/gateways.md section 2.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

EVERYWHERE = "*"


class Role(StrEnum):
    """What a member of a workspace is there."""

    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    DEV = "dev"
    VIEWER = "viewer"
    MEMBER = "member"
    """The same as a viewer."""


class Permission(StrEnum):
    """What a role may allow, by the names that clients are told."""

    MANAGE_WORKSPACE = "canManageWorkspace"
    MANAGE_MEMBERS = "canManageMembers"
    MANAGE_BILLING = "canManageBilling"
    MANAGE_PROJECTS = "canManageProjects"
    MANAGE_ENVIRONMENTS = "canManageEnvironments"
    VIEW_RESOURCES = "canViewResources"
    CREATE_RESOURCES = "canCreateResources"
    UPDATE_RESOURCES = "canUpdateResources"
    DELETE_RESOURCES = "canDeleteResources"
    VIEW_ACTIVITIES = "canViewActivities"
    MANAGE_SETTINGS = "canManageSettings"


_VIEW = frozenset({Permission.VIEW_RESOURCES, Permission.VIEW_ACTIVITIES})
PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset(Permission) - {Permission.MANAGE_WORKSPACE},
    Role.BILLING: _VIEW | {Permission.MANAGE_BILLING},
    Role.DEV: _VIEW
    | {
        Permission.MANAGE_PROJECTS,
        Permission.MANAGE_ENVIRONMENTS,
        Permission.CREATE_RESOURCES,
        Permission.UPDATE_RESOURCES,
        Permission.DELETE_RESOURCES,
    },
    Role.VIEWER: _VIEW,
    Role.MEMBER: _VIEW,
}
"""What each role allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What somebody is in a workspace. ``places`` None or ``("*",)`` means all of them."""

    role: Role
    places: tuple[str, ...] | None = None

    @property
    def is_everywhere(self) -> bool:
        """Whether the member may be in every project and environment."""
        return self.places is None or EVERYWHERE in self.places

    def may(self, permission: Permission) -> bool:
        """Tell whether the role allows it."""
        return permission in PERMISSIONS[self.role]

    def may_give(self, role: Role) -> bool:
        """
        Tell whether the member may invite to a role, and give it to or take it from others.

        Who is an owner, only an owner says. Who is narrowed to some places manages nobody: they could widen themselves.
        """
        if self.role is Role.OWNER:
            return True
        return self.may(Permission.MANAGE_MEMBERS) and self.is_everywhere and role is not Role.OWNER

    def may_be_in(self, project: str, environment: str | None = None) -> bool:
        """Tell whether the member may be in an environment, or without one in any environment of the project."""
        if self.is_everywhere:
            return True
        assert self.places is not None  # else everywhere
        if environment is None:
            return any(place.partition("/")[0] == project for place in self.places)
        return f"{project}/{environment}" in self.places or f"{project}/*" in self.places
