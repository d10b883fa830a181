"""
Slugs: the names that things have in paths, made from the names that people give them.

The rule is that of contracts/gateways.md section 3.10. A slug that is also a fixed part of a path is never given
out: what has it could not be reached.
"""

import re

LONGEST = 100
RESERVED = frozenset(
    {
        "activities",
        "auth",
        "azure-setup-callback",
        "check-name",
        "cloud",
        "cloud-connections",
        "invitations",
        "lambda-runtimes",
        "pricing-plans",
        "projects",
        "providers",
        "resource-types",
        "resources",
        "roles",
        "runtimes",
        "users",
        "workspaces",
    }
)

_GAPS = re.compile(r"[\s_]+")
_OTHERS = re.compile(r"[^a-z0-9-]")
_DASHES = re.compile(r"-+")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def slug_of(name: str) -> str:
    """Return the slug that a name asks for; it may be taken, or reserved."""
    dashed = _GAPS.sub("-", name.lower().strip())
    return _DASHES.sub("-", _OTHERS.sub("", dashed)).strip("-") or "untitled"


def is_slug(text: str) -> bool:
    """Tell whether ``text`` may be given as a slug."""
    return len(text) <= LONGEST and text not in RESERVED and _SLUG.fullmatch(text) is not None
