-- A task may wait for months, so it is no record of a day: its table has no partitions, and retention takes only what
-- has ended. Its lines are kept under "run_id", an id of the moment it was begun.

CREATE TABLE tasks (
    id text COLLATE "C" PRIMARY KEY,
    environment_id text COLLATE "C" NOT NULL,
    function_name text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('new', 'inProgress', 'complete', 'failed', 'retried', 'canceled')),
    direct boolean NOT NULL DEFAULT false,
    data jsonb,
    tags text[] NOT NULL DEFAULT '{}',
    priority bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    ready boolean NOT NULL DEFAULT false,
    schedule_id text COLLATE "C",
    created_by_user text COLLATE "C",
    created_by_application text COLLATE "C",
    retried_by text COLLATE "C",
    retry_for text[] COLLATE "C" NOT NULL DEFAULT '{}',
    failure jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    status_changed_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    duration_ms double precision,
    timings jsonb,
    run_id text COLLATE "C",
    log_lines integer NOT NULL DEFAULT 0,
    dropped_log_lines integer NOT NULL DEFAULT 0,
    lease_holder text COLLATE "C",
    lease_until timestamptz
);

CREATE INDEX tasks_environment ON tasks (environment_id, id DESC);

CREATE INDEX tasks_function ON tasks (environment_id, function_name, id DESC);

-- What waits for its time, what waits for its turn, what runs, what retention may take.
CREATE INDEX tasks_due ON tasks (due_at) WHERE status = 'new' AND NOT ready;

CREATE INDEX tasks_ready ON tasks (environment_id, priority DESC, due_at, id) WHERE status = 'new' AND ready;

CREATE INDEX tasks_running ON tasks (environment_id, direct) WHERE status = 'inProgress';

CREATE INDEX tasks_ended ON tasks (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE schedules (
    id text COLLATE "C" PRIMARY KEY,
    environment_id text COLLATE "C" NOT NULL,
    function_name text COLLATE "C" NOT NULL,
    interval_s bigint NOT NULL CHECK (interval_s > 0),
    data jsonb,
    priority bigint NOT NULL DEFAULT 0,
    starts_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    created_by_user text COLLATE "C",
    created_by_application text COLLATE "C",
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX schedules_environment ON schedules (environment_id, id DESC);

CREATE INDEX schedules_next ON schedules (next_at);
