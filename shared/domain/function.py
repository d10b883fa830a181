"""
Functions and their versions.

A function is a name in an environment with settings that apply at once (status, permission mode, tags); a
version is what runs: files, handler and configuration, immutable. A change of what runs is a new version,
made active by the deployer when it is ready; until then the old one serves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

LOCKED_VALUE = "********"
"""What is shown instead of the value of a locked variable; sent back, it leaves that value as it is."""


class Convention(StrEnum):
    """How the runtime calls the user's code."""

    LAMBDA = "lambda"
    """``handler(event, context)``, as on AWS Lambda."""
    NEO = "neo"
    """``module.exports = async context => ...`` in a fresh realm each run (contracts/neo.md section 4)."""


class PermissionMode(StrEnum):
    """Who may call an API function (contracts/extrahorizon.md section 7)."""

    PERMISSION_REQUIRED = "permissionRequired"
    ALL_USERS = "allUsers"
    PUBLIC = "public"


class FunctionStatus(StrEnum):
    """The deployment status; written by the deployer alone. See ``states.FUNCTION``."""

    CREATING = "creating"
    ACTIVE = "active"
    UPDATING = "updating"
    FAILED = "failed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed task runs again; an empty list means after every error."""

    enabled: bool = False
    errors_to_retry: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSpec:
    """What a caller asks to run: the part of a version that is configuration."""

    runtime: str
    convention: Convention
    handler: str
    timeout_s: int
    memory_mb: int
    tmp_mb: int = 512
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    architecture: str = "x86_64"
    """What a cloud runs it on; on our own machines it is kept and has no effect."""
    variables_id: str | None = field(default=None, compare=False)
    """The sealed set that ``environment`` came from, if it did: see ``shared.database.variables``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One immutable version: configuration and the digest of its deployment package."""

    id: str
    number: int
    spec: VersionSpec
    package_sha256: str
    code_hash: str
    """What receipts call the code by: see ``shared.crypto.receipts.code_hash``."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function with its active version, as the api and the invoker cache it."""

    id: str
    account_id: str
    environment_id: str
    name: str
    description: str
    status: FunctionStatus
    enabled: bool
    provider: str
    tags: tuple[str, ...]
    permission_mode: PermissionMode
    default_priority: int
    retry_policy: RetryPolicy
    revision: int
    """Counts every change; a cache holding a lower one is stale."""
    created_at: datetime
    updated_at: datetime
    version: FunctionVersion
    has_url: bool = False
    """Whether it was made with a place, in what nobody deleted: on our own machines anybody may call it by a URL."""
    locked_variables: tuple[str, ...] = ()
    """Environment variables whose values nobody is shown."""

    @property
    def shown_variables(self) -> dict[str, str]:
        """The environment variables as they may be shown: ``LOCKED_VALUE`` for the value of each that is locked."""
        variables = self.version.spec.environment
        return {name: LOCKED_VALUE if name in self.locked_variables else value for name, value in variables.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionStats:
    """Counts over a function's whole life; survive the retention of single records."""

    completed: int
    failed: int
    last_24_hours: int
    mean_duration_ms: int
    last_invocation: datetime | None
