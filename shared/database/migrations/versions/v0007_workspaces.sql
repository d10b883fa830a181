-- An account is a workspace. What clients of the Gateways dialect call things by is a number of each table's own, which
-- says nothing about how things belong together; slugs of workspaces and projects are unique on the whole platform.

ALTER TABLE accounts
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN slug text COLLATE "C",
    ADD COLUMN description text,
    ADD COLUMN plan text NOT NULL DEFAULT 'unlimited',
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN deleted_at timestamptz;

UPDATE accounts SET updated_at = created_at, slug = made.slug
FROM (
    SELECT id, base || CASE
        WHEN row_number() OVER (PARTITION BY base ORDER BY created_at, id) = 1
            AND base NOT IN ('check-name', 'invitations', 'lambda-runtimes', 'providers', 'roles') THEN ''
        ELSE '-' || id END AS slug
    FROM (
        SELECT id, created_at, coalesce(nullif(trim('-' FROM regexp_replace(regexp_replace(
            regexp_replace(lower(name), '[\s_]+', '-', 'g'), '[^a-z0-9-]', '', 'g'), '-+', '-', 'g')), ''),
            'untitled') AS base
        FROM accounts
    ) named
) made
WHERE made.id = accounts.id;

ALTER TABLE accounts ALTER COLUMN slug SET NOT NULL, ADD CONSTRAINT accounts_slug UNIQUE (slug);

ALTER TABLE users
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN default_account_id text COLLATE "C" REFERENCES accounts (id);

UPDATE users SET default_account_id = account_id;

ALTER TABLE projects
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN user_id text COLLATE "C" REFERENCES users (id) ON DELETE SET NULL,
    ADD COLUMN description text,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN deleted_at timestamptz,
    DROP CONSTRAINT projects_account_id_slug_key;

UPDATE projects SET updated_at = created_at, slug = made.slug
FROM (
    SELECT id, slug || CASE
        WHEN row_number() OVER same = 1 THEN '' ELSE '-' || row_number() OVER same END AS slug
    FROM projects WINDOW same AS (PARTITION BY slug ORDER BY created_at, id)
) made
WHERE made.id = projects.id;

ALTER TABLE projects ADD CONSTRAINT projects_slug UNIQUE (slug);

CREATE INDEX projects_account ON projects (account_id);

ALTER TABLE environments
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN description text,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN deleted_at timestamptz;

UPDATE environments SET updated_at = created_at;

-- "project_permissions" narrows a role to places: null and {*} do not, else "project/environment" and "project/*" by slug.
CREATE TABLE members (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'dev', 'billing', 'viewer', 'member')),
    project_permissions text[] COLLATE "C",
    joined_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, account_id)
);

CREATE INDEX members_account ON members (account_id);

-- Whoever could do everything in an account owns it.
INSERT INTO members (account_id, user_id, role, joined_at, updated_at)
SELECT u.account_id, u.id, 'owner', u.created_at, u.created_at FROM users u
WHERE EXISTS (
    SELECT 1 FROM user_roles ur JOIN roles r ON r.id = ur.role_id
    WHERE ur.user_id = u.id AND r.account_id = u.account_id AND r.name = 'admin'
);

CREATE TABLE invitations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'dev', 'billing', 'viewer', 'member')),
    project_permissions text[] COLLATE "C",
    invited_by text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('pending', 'accepted', 'cancelled')) DEFAULT 'pending',
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX invitations_pending ON invitations (account_id, lower(email)) WHERE status = 'pending';

CREATE INDEX invitations_email ON invitations (lower(email)) WHERE status = 'pending';

-- A session's tokens are signed with the key below and good while its row says so.
CREATE TABLE sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_sha256 text COLLATE "C" NOT NULL UNIQUE,
    address text,
    user_agent text,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    last_used_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX sessions_user ON sessions (user_id, id DESC);

CREATE TABLE session_keys (
    id text COLLATE "C" PRIMARY KEY,
    master_key_id text COLLATE "C" NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- There is one, whoever makes it first.
CREATE UNIQUE INDEX session_keys_one ON session_keys ((true));

-- Keys that act as their user, unlike "api_keys", which act in one environment.
CREATE TABLE personal_keys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name text,
    prefix text NOT NULL,
    sha256 text COLLATE "C" NOT NULL UNIQUE,
    last_used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX personal_keys_user ON personal_keys (user_id);

-- What somebody did. It outlives what it was done to, hence no references but to who did it.
CREATE TABLE activities (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id text COLLATE "C",
    environment_id text COLLATE "C",
    resource_type text,
    resource_number bigint,
    action text NOT NULL,
    description text,
    metadata jsonb,
    address text,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX activities_user ON activities (user_id, id DESC);
