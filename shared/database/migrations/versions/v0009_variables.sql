-- Environment variables of functions, each set sealed as one value and bound to its id. A set never changes, and versions
-- with the same variables share one. Versions from before have theirs in "environment" until they are sealed too.
CREATE TABLE variable_sets (
    id text COLLATE "C" PRIMARY KEY,
    master_key_id text COLLATE "C" NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE function_versions ADD COLUMN variables_id text COLLATE "C" REFERENCES variable_sets (id);

CREATE INDEX function_versions_variables ON function_versions (variables_id) WHERE variables_id IS NOT NULL;

CREATE INDEX function_versions_unsealed ON function_versions (id) WHERE environment <> '{}';

-- What people say is connected to what in an environment. A resource is its kind and its number there.
CREATE TABLE resource_connections (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id text COLLATE "C" NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    user_id text COLLATE "C" REFERENCES users (id) ON DELETE SET NULL,
    source_type text NOT NULL,
    source_number bigint NOT NULL,
    target_type text NOT NULL,
    target_number bigint NOT NULL,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'connecting', 'connected', 'failed', 'disconnected')),
    details jsonb,
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (environment_id, source_type, source_number, target_type, target_number)
);

CREATE INDEX resource_connections_target ON resource_connections (environment_id, target_type, target_number);

-- The default project of every workspace that has one is on this installation itself, as those made from now on are.
INSERT INTO cloud_connections (id, account_id, provider, status, region, name, cloud_account_id, connected_at)
SELECT left(md5('local ' || account_id), 24), account_id, 'local', 'connected', 'local', 'local', 'local', now()
FROM projects WHERE is_default AND deleted_at IS NULL AND connection_id IS NULL
ON CONFLICT DO NOTHING;

UPDATE projects p SET connection_id = c.id FROM cloud_connections c
WHERE c.account_id = p.account_id AND c.provider = 'local' AND c.deleted_at IS NULL
    AND p.is_default AND p.deleted_at IS NULL AND p.connection_id IS NULL;

-- What deployments that have ended were asked to run is in the versions they made.
UPDATE deployments SET spec = jsonb_set(spec, '{environment}', '{}')
WHERE state IN ('succeeded', 'refused', 'cancelled') AND spec -> 'environment' <> '{}';
