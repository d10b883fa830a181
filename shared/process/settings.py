"""
Every setting of Tidemill, in blocks as narrow as those who read them.

Read once, in ``main``, by ``load_settings``; a part is given its own block, never the whole. The same variables
serve the four separate services and the all-in-one process; ``docs/settings.md`` and ``.env.example`` are made
from this module and compared with it by the tests. How a variable is read is in ``variables.py``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.crypto.master_keys import parse_master_keys
from shared.process.admin_settings import AdminSettings
from shared.process.api_key_settings import ApiKeySettings
from shared.process.aws_settings import AwsSettings
from shared.process.browser_settings import BrowserSettings
from shared.process.host_services_settings import HostServicesSettings
from shared.process.rate_limit_settings import RateLimitSettings
from shared.process.variables import (
    Secret,
    SecretUrl,
    SettingsError,
    block,
    effective,
    load,
    matching,
    one_of,
    path,
    port,
    seconds,
    secret_url,
    setting,
    switch,
    text,
    variables,
    whole,
)
from shared.process.workspace_settings import WorkspaceSettings

__all__ = [
    "AdminSettings",
    "AwsSettings",
    "BrowserSettings",
    "BusSettings",
    "DataSettings",
    "DatabaseSettings",
    "EngineSettings",
    "HostServicesSettings",
    "HttpSettings",
    "LogSettings",
    "MasterKeySettings",
    "PackageStoreSettings",
    "RateLimitSettings",
    "RetentionSettings",
    "Secret",
    "SecretUrl",
    "Settings",
    "SettingsError",
    "StopSettings",
    "WorkspaceSettings",
    "load_settings",
    "markdown_table",
]

_S3_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s]*)?")
_HTTP_URL = re.compile(r"https?://[^\s/]+(/[^\s]*)?")
_KMS_KEYS = re.compile(r"{0}(,{0})*".format(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9A-Za-z-]+"))

LONGEST_TIMEOUT_S = 900
"""No deployment may let functions run longer: the queues' consumer timeout and the leases outlive this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Where this machine keeps what must survive a restart, and its caches."""

    data_dir: Path = setting(
        "DATA_DIR",
        path,
        default=".tidemill",
        doc="Directory for the embedded database, first credentials, caches and sandboxes.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """PostgreSQL."""

    url: SecretUrl | None = setting(
        "DATABASE_URL",
        secret_url("postgresql", "postgres"),
        absent="embedded PostgreSQL, only with `up`",
        hidden=True,
        doc="A PostgreSQL to use.",
    )
    pool_size: int = setting(
        "DATABASE_POOL_SIZE", whole(2, 200), default="10", doc="Most connections a service keeps open."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    """The message bus."""

    amqp_url: SecretUrl | None = setting(
        "AMQP_URL",
        secret_url("amqp", "amqps"),
        absent="in-memory bus, only with `up`",
        hidden=True,
        doc="A RabbitMQ to use.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageStoreSettings:
    """Where packages are kept when not in PostgreSQL. Credentials come from the AWS SDK's own variables and files."""

    s3_url: str | None = setting(
        "S3_URL",
        matching(lambda value: _S3_URL.fullmatch(value) is not None, "s3://bucket or s3://bucket/prefix"),
        absent="packages are rows in PostgreSQL",
        doc="Bucket, and prefix if any, for packages.",
    )
    s3_endpoint: str | None = setting(
        "S3_ENDPOINT",
        matching(lambda value: _HTTP_URL.fullmatch(value) is not None, "an http or https URL"),
        absent="AWS",
        doc="Another S3-compatible service.",
    )

    def conflicts(self) -> Iterator[str]:
        if self.s3_endpoint is not None and self.s3_url is None:
            yield "TIDEMILL_S3_ENDPOINT is set but TIDEMILL_S3_URL is not: say which bucket"


def _master_keys(value: str) -> Secret:
    parse_master_keys(value)
    return Secret(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKeySettings:
    """What wraps the data keys of secrets. AWS credentials come from the AWS SDK's own variables and files."""

    master_key: Secret | None = setting(
        "MASTER_KEY",
        _master_keys,
        absent="`up` makes one in its data directory; services on their own keep no secrets",
        hidden=True,
        doc="32 random bytes in base64 or hex (`openssl rand -base64 32`), the same for `migrate` and all services "
        "but the logger. Older keys may follow after commas: they only open.",
    )
    kms_key_id: str | None = setting(
        "KMS_KEY_ID",
        matching(lambda value: _KMS_KEYS.fullmatch(value) is not None, "the ARN of an AWS KMS key"),
        absent="no AWS KMS",
        doc="ARN of an AWS KMS key to use instead. Older ones may follow after commas: they only open.",
    )
    kms_endpoint: str | None = setting(
        "KMS_ENDPOINT",
        matching(lambda value: _HTTP_URL.fullmatch(value) is not None, "an http or https URL"),
        absent="AWS",
        doc="Another address of AWS KMS, e.g. a VPC endpoint.",
    )

    def conflicts(self) -> Iterator[str]:
        if self.kms_endpoint is not None and self.kms_key_id is None:
            yield "TIDEMILL_KMS_ENDPOINT is set but TIDEMILL_KMS_KEY_ID is not: say which key"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where a service listens: the API, or only the probes and metrics of the other three."""

    host: str = setting("HOST", text, default="127.0.0.1", doc="Address to listen on.")
    port: int = setting("PORT", port, default="8080", doc="Port to listen on; 0 takes a free one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Our own log, on standard error. What functions print is data and goes to the logger service."""

    format: str = setting(
        "LOG_FORMAT",
        one_of("auto", "json", "console"),
        default="auto",
        doc="`auto` is `console` on a terminal and `json` elsewhere.",
    )
    level: str = setting(
        "LOG_LEVEL", one_of("debug", "info", "warning", "error"), default="info", doc="Least important level shown."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How an invoker runs functions on this machine."""

    stem_cells_node: int = setting(
        "STEM_CELLS_NODE", whole(0, 64), default="2", doc="Node.js workers that wait with no code."
    )
    stem_cells_node16: int = setting(
        "STEM_CELLS_NODE16", whole(0, 64), default="1", doc="The same of the real Node.js 16."
    )
    stem_cells_node18: int = setting(
        "STEM_CELLS_NODE18", whole(0, 64), default="1", doc="The same of the real Node.js 18."
    )
    stem_cells_python: int = setting(
        "STEM_CELLS_PYTHON", whole(0, 64), default="2", doc="Python workers that wait with no code."
    )
    max_workers: int = setting(
        "MAX_WORKERS", whole(1, 1000), default="32", doc="Most worker processes of one invoker, stem cells not counted."
    )
    max_workers_per_function: int = setting(
        "MAX_WORKERS_PER_FUNCTION", whole(1, 1000), default="8", doc="Most of them for one function."
    )
    max_in_flight_per_function: int = setting(
        "MAX_IN_FLIGHT_PER_FUNCTION",
        whole(1, 10000),
        default="100",
        doc="Most calls of one function held at once, running and waiting; one more is throttled.",
    )
    max_sync_in_flight: int = setting(
        "MAX_SYNC_IN_FLIGHT", whole(1, 10000), default="256", doc="Most synchronous calls an invoker holds at once."
    )
    max_async_in_flight: int = setting(
        "MAX_ASYNC_IN_FLIGHT", whole(1, 10000), default="128", doc="Most asynchronous executions it holds at once."
    )
    max_tasks_at_once: int = setting(
        "MAX_TASKS_AT_ONCE",
        whole(1, 10000),
        default="5",
        doc="Most queued tasks of one environment in progress at once, over all invokers.",
    )
    idle_s: float = setting(
        "IDLE_S", seconds(1, 86400), default="300", doc="A worker unused for so many seconds is stopped."
    )
    freeze_idle: bool = setting(
        "FREEZE_IDLE",
        switch,
        default="no",
        doc="Stop a worker's processes between calls, as AWS Lambda does; `no` lets background work go on.",
    )
    max_timeout_s: int = setting(
        "MAX_TIMEOUT_S",
        whole(1, LONGEST_TIMEOUT_S),
        default="900",
        doc="Longest time limit a function may ask for, in seconds.",
    )
    network: str = setting(
        "NETWORK",
        one_of("none", "internet", "host"),
        default="internet",
        doc="What functions may reach: nothing; the outside but no private address; everything (development only).",
    )
    min_sandbox: str = setting(
        "MIN_SANDBOX",
        one_of("full", "no-proc", "landlock", "none"),
        default="landlock",
        doc="Refuse to run functions in anything weaker. `./tidemill doctor` tells what this machine can give.",
    )
    trusted_code: bool = setting(
        "TRUSTED_CODE",
        switch,
        default="no",
        doc="Allow running functions with no sandbox at all. Only for code you would run yourself.",
    )
    bwrap: Path | None = setting("BWRAP", path, absent="the wheel's, else the PATH's", doc="The bubblewrap to use.")
    node: Path | None = setting("NODE", path, absent="the wheel's, else the PATH's", doc="The newest Node.js to use.")
    node16: Path | None = setting(
        "NODE16", path, absent="the one the launcher installed, else the newest", doc="The Node.js 16 to use."
    )
    node18: Path | None = setting(
        "NODE18", path, absent="the one the launcher installed, else the newest", doc="The Node.js 18 to use."
    )

    def conflicts(self) -> Iterator[str]:
        if self.min_sandbox == "none" and not self.trusted_code:
            yield "TIDEMILL_MIN_SANDBOX=none needs TIDEMILL_TRUSTED_CODE=yes: functions would run with no sandbox"
        if self.max_workers_per_function > self.max_workers:
            yield (
                f"TIDEMILL_MAX_WORKERS_PER_FUNCTION={self.max_workers_per_function} is more than "
                f"TIDEMILL_MAX_WORKERS={self.max_workers}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What the API grants an account, and what it is called from outside."""

    max_functions: int = setting(
        "MAX_FUNCTIONS",
        whole(1, 10_000_000),
        default="100",
        doc="Functions an account may have; creating more through the Neo dialect is refused.",
    )
    max_secrets: int = setting("MAX_SECRETS", whole(1, 100_000), default="50", doc="Secrets an account may have.")
    max_direct_executions: int = setting(
        "MAX_DIRECT_EXECUTIONS",
        whole(1, 10_000),
        default="100",
        doc="Direct executions of the Extra Horizon dialect that an API runs at once; one more is refused.",
    )
    registration: str = setting(
        "REGISTRATION",
        one_of("closed", "open"),
        default="closed",
        doc="`open`: anybody may register as a user of the Extra Horizon dialect, with no permission.",
    )
    public_url: str | None = setting(
        "PUBLIC_URL",
        matching(lambda value: _HTTP_URL.fullmatch(value) is not None, "an http or https URL"),
        absent="what each request calls the API",
        doc="Where the API is reached from outside, for the URLs of functions: behind a proxy, `https://...`.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long records are kept."""

    days: int = setting(
        "RETENTION_DAYS",
        whole(1, 3650),
        default="30",
        doc="Executions, API requests, ended tasks and log lines older are dropped.",
    )
    package_grace_hours: int = setting(
        "PACKAGE_GRACE_HOURS",
        whole(1, 8760),
        default="24",
        doc="Packages that nothing needs any more, and versions that were replaced, are deleted so many hours later.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSettings:
    """How a service leaves."""

    drain_s: float = setting(
        "DRAIN_S", seconds(0, 3600), default="30", doc="How long a stopping service may finish what it holds."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of them."""

    data: DataSettings = block(DataSettings)
    database: DatabaseSettings = block(DatabaseSettings)
    bus: BusSettings = block(BusSettings)
    packages: PackageStoreSettings = block(PackageStoreSettings)
    master_key: MasterKeySettings = block(MasterKeySettings)
    http: HttpSettings = block(HttpSettings)
    log: LogSettings = block(LogSettings)
    admin: AdminSettings = block(AdminSettings)
    engine: EngineSettings = block(EngineSettings)
    api: ApiSettings = block(ApiSettings)
    api_keys: ApiKeySettings = block(ApiKeySettings)
    rate_limit: RateLimitSettings = block(RateLimitSettings)
    browsers: BrowserSettings = block(BrowserSettings)
    aws: AwsSettings = block(AwsSettings)
    host_services: HostServicesSettings = block(HostServicesSettings)
    workspaces: WorkspaceSettings = block(WorkspaceSettings)
    retention: RetentionSettings = block(RetentionSettings)
    stop: StopSettings = block(StopSettings)

    def shown(self) -> dict[str, str]:
        """Return what is in force, by variable name, secrets redacted."""
        return effective(self)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """
    Read all settings.

    Raises:
        SettingsError: naming every variable that is wrong, its value, and what was expected.
    """
    return load(Settings, environ)


def markdown_table() -> str:
    """Return the table of ``docs/settings.md``."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for _, variable in variables(Settings):
        default = f"`{variable.default}`" if variable.default is not None else f"({variable.absent})"
        rows.append(f"| `{variable.name}` | {default} | {variable.doc} |")
    return "\n".join(rows) + "\n"
