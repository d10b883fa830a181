"""
The ports and limits every operation gets, made once in ``app.py`` and passed down as one value.

An operation takes the platform first, then who is calling, then what is asked. Nothing here is a global and
nothing is opened here; ``app.py`` opens and closes it all.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.api.access.addresses import Addresses
from services.api.access.credentials import Credentials
from services.api.access.key_usage import KeyUsage
from services.api.access.rate_limit import RateLimits
from services.api.attestor import Attestor
from services.api.deployments import DeploymentWaiters
from services.api.direct_executions import DirectExecutions
from services.api.dispatch import Dispatcher
from services.api.task_notices import TaskNotices
from shared.bus.bus import Bus
from shared.crypto.envelope import Envelope
from shared.database.executions import AcceptedExecution, NewExecution
from shared.database.function_cache import FunctionCache
from shared.database.group_commit import GroupCommit
from shared.database.oauth1 import UsedNonce
from shared.database.pool import Database
from shared.database.tasks import NewTask
from shared.domain.plan import DEFAULT_PLAN
from shared.domain.task import Task
from shared.packages.store import PackageStore
from shared.process.aws_settings import AwsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the platform refuses beyond. Sizes in bytes, times in seconds."""

    functions_per_account: int = 100
    secrets_per_account: int = 50
    keys_per_account: int | None = None
    """API keys that count at the same time; None for any number."""
    key_days: int | None = None
    """How long a new API key counts at most; None for ever."""
    key_grace_s: float = 86_400.0
    """How long a replaced API key still counts."""
    open_sign_up: bool = True
    """Whether anybody may sign up, and so make a workspace of their own."""
    plan: str = DEFAULT_PLAN
    """The pricing plan of new workspaces, by slug."""
    open_registration: bool = False
    """Whether anybody may register as a user."""
    max_timeout_s: int = 900
    """Longest time limit a function may have; a dialect may allow less."""
    api_function_timeout_s: int = 30
    """A function with a longer time limit cannot be called as an API function."""
    event_bytes: int = 6 * 1024 * 1024
    """Largest event of an API function, as JSON."""
    deployment_s: float = 30.0
    """How long a caller waits for a deployment."""
    change_wait_s: float = 15.0
    """How long a change of a function waits for those of others before it."""
    sync_grace_s: float = 5.0
    """How long beyond the function's time limit the caller of a synchronous invocation waits."""
    api_call_grace_s: float = 2.0
    """The same for an API function, on top of its time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A way into an AWS account that is to be tried: a role, and the secret it asks for."""

    connection_id: str
    role_arn: str
    external_id: str = field(repr=False)
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """
    Everything an operation may use.

    ``default_environment_id`` is where callers with no credential act. ``enter_cloud`` tries a way into a cloud: see
    ``cloud_doors.py``. ``public_url`` is where the api is reached from outside, if that was said.
    """

    db: Database
    bus: Bus
    functions: FunctionCache
    deployments: DeploymentWaiters
    packages: PackageStore
    envelope: Envelope
    attestor: Attestor
    credentials: Credentials
    key_usage: KeyUsage
    token_usage: KeyUsage
    rate_limits: RateLimits
    addresses: Addresses
    accept: GroupCommit[NewExecution, AcceptedExecution]
    nonces: GroupCommit[UsedNonce, bool]
    dispatcher: Dispatcher
    tasks: GroupCommit[NewTask, Task]
    direct: DirectExecutions
    task_notices: TaskNotices
    limits: Limits
    aws: AwsSettings
    enter_cloud: Callable[[Entrance], Awaitable[None]]
    default_environment_id: str
    public_url: str | None = None
