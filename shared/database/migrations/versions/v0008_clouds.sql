-- A way into somebody's cloud account. Of the provider "local", which is this installation, an account has one at most.
CREATE TABLE cloud_connections (
    id text COLLATE "C" PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    provider text NOT NULL CHECK (provider IN ('local', 'aws', 'gcp', 'azure')),
    status text NOT NULL CHECK (status IN ('pending', 'connected', 'failed', 'disconnected')),
    region text NOT NULL,
    name text,
    cloud_account_id text,
    role_arn text,
    reason text,
    connected_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);

CREATE INDEX cloud_connections_account ON cloud_connections (account_id);

CREATE UNIQUE INDEX cloud_connections_name ON cloud_connections (account_id, name) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX cloud_connections_local ON cloud_connections (account_id)
    WHERE provider = 'local' AND deleted_at IS NULL;

-- What lets us in, sealed and bound to the id of its connection: the external id of an AWS role.
CREATE TABLE cloud_credentials (
    id text COLLATE "C" PRIMARY KEY REFERENCES cloud_connections (id) ON DELETE CASCADE,
    master_key_id text COLLATE "C" NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL
);

ALTER TABLE projects ADD COLUMN connection_id text COLLATE "C" REFERENCES cloud_connections (id);

CREATE INDEX projects_connection ON projects (connection_id) WHERE connection_id IS NOT NULL;

ALTER TABLE functions
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN position_x double precision,
    ADD COLUMN position_y double precision,
    ADD COLUMN locked_variables text[] NOT NULL DEFAULT '{}';

ALTER TABLE function_versions ADD COLUMN architecture text NOT NULL DEFAULT 'x86_64';

ALTER TABLE deployments
    ADD COLUMN action text NOT NULL DEFAULT 'deploy' CHECK (action IN ('deploy', 'sync', 'remove'));

-- Where a function is at its provider, and what that last said of it. "cloud_account_id" is within what "name" is unique:
-- the cloud's own number of the account; of a function on our own machines the environment.
CREATE TABLE placements (
    function_id text COLLATE "C" PRIMARY KEY REFERENCES functions (id) ON DELETE CASCADE,
    connection_id text COLLATE "C" NOT NULL REFERENCES cloud_connections (id),
    provider text NOT NULL,
    cloud_account_id text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    arn text,
    url text,
    state text CHECK (state IN ('creating', 'active', 'inactive', 'updating', 'failed')),
    reason text,
    facts jsonb NOT NULL DEFAULT '{}',
    is_public boolean NOT NULL DEFAULT true,
    is_unsure boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    looked_at timestamptz,
    removed_at timestamptz
);

CREATE UNIQUE INDEX placements_name ON placements (provider, cloud_account_id, region, name) WHERE removed_at IS NULL;

CREATE INDEX placements_connection ON placements (connection_id) WHERE removed_at IS NULL;

CREATE INDEX placements_unsettled ON placements (looked_at) WHERE state IN ('creating', 'updating');

-- What creates that were given up may have left at a cloud. It is taken away there until it is sure to be gone.
CREATE TABLE leftovers (
    function_id text COLLATE "C" PRIMARY KEY,
    connection_id text COLLATE "C" NOT NULL REFERENCES cloud_connections (id),
    provider text NOT NULL,
    cloud_account_id text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    left_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX leftovers_due ON leftovers (due_at);

CREATE INDEX leftovers_connection ON leftovers (connection_id);
