-- Ids are ASCII and compared byte by byte (COLLATE "C"): their order is their time, whatever the locale.
-- Statements end with a semicolon at the end of a line; the runner splits there.

CREATE TABLE accounts (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    slug text COLLATE "C" NOT NULL,
    name text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, slug)
);

CREATE UNIQUE INDEX projects_one_default ON projects (account_id) WHERE is_default;

CREATE TABLE environments (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    project_id text COLLATE "C" NOT NULL REFERENCES projects (id),
    slug text COLLATE "C" NOT NULL,
    name text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (project_id, slug)
);

CREATE UNIQUE INDEX environments_one_default ON environments (project_id) WHERE is_default;

CREATE TABLE users (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    email text NOT NULL,
    password_hash text NOT NULL,
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT 'EN',
    time_zone text NOT NULL DEFAULT 'UTC',
    phone_number text NOT NULL DEFAULT '',
    activation boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE roles (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    permissions text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, name)
);

CREATE TABLE user_roles (
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id text COLLATE "C" NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_id)
);

CREATE INDEX user_roles_role ON user_roles (role_id);

CREATE TABLE applications (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    environment_id text COLLATE "C" NOT NULL REFERENCES environments (id),
    name text NOT NULL,
    client_id text COLLATE "C" NOT NULL UNIQUE,
    client_secret_sha256 text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE access_tokens (
    sha256 text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    application_id text COLLATE "C" NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    sha256 text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    application_id text COLLATE "C" NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz
);

CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

CREATE TABLE api_keys (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    environment_id text COLLATE "C" NOT NULL REFERENCES environments (id),
    name text NOT NULL,
    sha256 text COLLATE "C" NOT NULL UNIQUE,
    prefix text NOT NULL,
    permissions text[] NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE functions (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    environment_id text COLLATE "C" NOT NULL REFERENCES environments (id),
    name text COLLATE "C" NOT NULL,
    description text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('creating', 'active', 'updating', 'failed', 'deleted')),
    enabled boolean NOT NULL DEFAULT true,
    provider text NOT NULL,
    tags text[] NOT NULL DEFAULT '{}',
    permission_mode text NOT NULL,
    default_priority bigint NOT NULL DEFAULT 0,
    retry_enabled boolean NOT NULL DEFAULT false,
    retry_errors text[] NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    active_version_id text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);

CREATE UNIQUE INDEX functions_name ON functions (environment_id, name) WHERE deleted_at IS NULL;

CREATE INDEX functions_account ON functions (account_id) WHERE deleted_at IS NULL;

CREATE TABLE packages (
    sha256 text COLLATE "C" PRIMARY KEY,
    size bigint NOT NULL,
    content bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A package is compressed already: trying again would only cost time.
ALTER TABLE packages ALTER COLUMN content SET STORAGE EXTERNAL;

-- A package may be in S3 instead of in "packages", hence no reference to it.
CREATE TABLE function_versions (
    id text COLLATE "C" PRIMARY KEY,
    function_id text COLLATE "C" NOT NULL REFERENCES functions (id) ON DELETE CASCADE,
    number integer NOT NULL,
    runtime text NOT NULL,
    convention text NOT NULL CHECK (convention IN ('lambda', 'neo')),
    handler text NOT NULL,
    timeout_s integer NOT NULL,
    memory_mb integer NOT NULL,
    tmp_mb integer NOT NULL,
    environment jsonb NOT NULL,
    secrets text[] NOT NULL DEFAULT '{}',
    package_sha256 text COLLATE "C" NOT NULL,
    source text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (function_id, number)
);

ALTER TABLE functions ADD FOREIGN KEY (active_version_id) REFERENCES function_versions (id);

-- "function_id" is no reference: the row of a function that was never created is removed, its deployment stays.
CREATE TABLE deployments (
    id text COLLATE "C" PRIMARY KEY,
    function_id text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'refused', 'cancelled')),
    upload_sha256 text COLLATE "C",
    upload_kind text CHECK (upload_kind IN ('zip', 'source')),
    source text,
    spec jsonb NOT NULL,
    settings jsonb NOT NULL,
    creates boolean NOT NULL,
    error jsonb,
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deployments_function ON deployments (function_id, id DESC);

CREATE INDEX deployments_unfinished ON deployments (updated_at) WHERE state IN ('pending', 'running');

-- Records. Ids are time-ordered, so a range of ids is a day; no references, so a day is dropped in one step.

CREATE TABLE executions (
    id text COLLATE "C" PRIMARY KEY,
    function_id text COLLATE "C" NOT NULL,
    environment_id text COLLATE "C" NOT NULL,
    version_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    status text NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    params text NOT NULL,
    result text,
    result_defined boolean NOT NULL DEFAULT false,
    failure jsonb,
    accepted_at timestamptz NOT NULL,
    dispatched_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    duration_ms double precision,
    timings jsonb,
    log_lines integer NOT NULL DEFAULT 0,
    dropped_log_lines integer NOT NULL DEFAULT 0,
    lease_holder text COLLATE "C",
    lease_until timestamptz,
    created_by_user text COLLATE "C",
    created_by_application text COLLATE "C",
    idempotency_key text
) PARTITION BY RANGE (id);

CREATE INDEX executions_function ON executions (function_id, id DESC);

-- What the relay looks for: never dispatched (null) or dispatched long ago.
CREATE INDEX executions_queued ON executions (dispatched_at) WHERE status = 'queued';

CREATE INDEX executions_running ON executions (function_id, started_at) WHERE status = 'running';

CREATE TABLE api_requests (
    id text COLLATE "C" PRIMARY KEY,
    environment_id text COLLATE "C" NOT NULL,
    function_id text COLLATE "C" NOT NULL,
    function_name text COLLATE "C" NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    user_id text COLLATE "C",
    application_id text COLLATE "C",
    timestamp timestamptz NOT NULL,
    status_code integer NOT NULL,
    duration_s double precision NOT NULL,
    error_type text CHECK (error_type IN ('invocation', 'runtime', 'response')),
    failure jsonb,
    timings jsonb NOT NULL,
    log_lines integer NOT NULL,
    dropped_log_lines integer NOT NULL
) PARTITION BY RANGE (id);

CREATE INDEX api_requests_environment ON api_requests (environment_id, timestamp DESC, id DESC);

CREATE INDEX api_requests_function ON api_requests (environment_id, function_name, timestamp DESC, id DESC);

CREATE TABLE log_lines (
    record_id text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    timestamp_ms bigint NOT NULL,
    level text NOT NULL,
    message text NOT NULL,
    text text,
    PRIMARY KEY (record_id, number)
) PARTITION BY RANGE (record_id);

-- Sums over the shards are the truth; each process writes shards of its own, so that replicas do not wait for each other.
CREATE TABLE function_stats (
    function_id text COLLATE "C" NOT NULL,
    shard smallint NOT NULL,
    accepted bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    duration_ms_sum double precision NOT NULL DEFAULT 0,
    last_started_at timestamptz,
    PRIMARY KEY (function_id, shard)
) WITH (fillfactor = 50);

CREATE TABLE replicas (
    id text COLLATE "C" PRIMARY KEY,
    service text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE idempotency_keys (
    environment_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    execution_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (environment_id, key)
);

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
