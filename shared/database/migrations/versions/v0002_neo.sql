-- Each value is sealed with a data key of its own (AES-256-GCM, the row's id as associated data); the data key is
-- wrapped by the master key that "master_key_id" names, which is never in the database.

CREATE TABLE secrets (
    id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id),
    name text COLLATE "C" NOT NULL,
    description text NOT NULL DEFAULT '',
    allowed_functions text[],
    version integer NOT NULL DEFAULT 1,
    master_key_id text COLLATE "C" NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, name)
);

CREATE INDEX secrets_master_key ON secrets (master_key_id);

-- Which functions a change of a secret concerns.
CREATE INDEX function_versions_secrets ON function_versions USING gin (secrets);

-- One row for each secret that a run asked for. The id of the record leads, so that a day is dropped in one step.
CREATE TABLE secret_accesses (
    record_id text COLLATE "C" NOT NULL,
    secret_name text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    function_id text COLLATE "C" NOT NULL,
    granted boolean NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (record_id, secret_name)
) PARTITION BY RANGE (record_id);

CREATE TABLE signing_keys (
    id text COLLATE "C" PRIMARY KEY,
    public_key bytea NOT NULL,
    master_key_id text COLLATE "C" NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
);

-- The newest that is not retired signs; there is only one, whoever makes it first.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys ((true)) WHERE retired_at IS NULL;

-- What a receipt calls a version's code by (shared/crypto/receipts.py, code_hash): for a text, PostgreSQL writes the same
-- JSON as RFC 8785.
ALTER TABLE function_versions ADD COLUMN code_hash text COLLATE "C";

UPDATE function_versions
SET code_hash = encode(sha256(convert_to(to_json(coalesce(source, package_sha256))::text, 'UTF8')), 'hex');

ALTER TABLE function_versions ALTER COLUMN code_hash SET NOT NULL;

ALTER TABLE executions ADD COLUMN receipt text;

-- Ended without a run, so nobody has signed what came of it yet.
CREATE INDEX executions_unsigned ON executions (id)
WHERE receipt IS NULL AND kind = 'neo' AND status IN ('completed', 'failed', 'cancelled');

ALTER TABLE api_keys ADD COLUMN rotated_at timestamptz;

-- What a process says of itself: an invoker its runtimes, with their real versions and digests.
ALTER TABLE replicas ADD COLUMN details jsonb NOT NULL DEFAULT '{}';
