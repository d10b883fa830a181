-- An application has versions, and each version a key and a secret of its own: taking one away turns away those who still
-- use it. Clients of OAuth2 show their secret, so its digest is kept. Consumers and tokens of OAuth 1.0 sign with theirs,
-- so it is kept sealed, bound to the id of its row.

ALTER TABLE applications
    ADD COLUMN type text NOT NULL DEFAULT 'oauth2' CHECK (type IN ('oauth1', 'oauth2')),
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN logo text,
    ADD COLUMN redirect_uris text[] NOT NULL DEFAULT '{}',
    ADD COLUMN confidential boolean NOT NULL DEFAULT false,
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

CREATE INDEX applications_account ON applications (account_id, id DESC);

CREATE TABLE oauth2_clients (
    id text COLLATE "C" PRIMARY KEY,
    application_id text COLLATE "C" NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    name text NOT NULL,
    client_id text COLLATE "C" NOT NULL UNIQUE,
    client_secret_sha256 text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX oauth2_clients_application ON oauth2_clients (application_id, id);

INSERT INTO oauth2_clients (id, application_id, name, client_id, client_secret_sha256, created_at)
SELECT id, id, 'v1', client_id, client_secret_sha256, created_at FROM applications;

UPDATE applications SET confidential = client_secret_sha256 IS NOT NULL;

ALTER TABLE applications DROP COLUMN client_id, DROP COLUMN client_secret_sha256;

CREATE TABLE oauth1_consumers (
    id text COLLATE "C" PRIMARY KEY,
    application_id text COLLATE "C" NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    name text NOT NULL,
    consumer_key text COLLATE "C" NOT NULL UNIQUE,
    master_key_id text COLLATE "C" NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX oauth1_consumers_application ON oauth1_consumers (application_id, id);

CREATE INDEX oauth1_consumers_master_key ON oauth1_consumers (master_key_id);

CREATE TABLE oauth1_tokens (
    id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    application_id text COLLATE "C" NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    token text COLLATE "C" NOT NULL UNIQUE,
    master_key_id text COLLATE "C" NOT NULL,
    wrapped_key bytea NOT NULL,
    sealed bytea NOT NULL,
    last_used_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX oauth1_tokens_user ON oauth1_tokens (user_id, id DESC);

CREATE INDEX oauth1_tokens_application ON oauth1_tokens (application_id);

CREATE INDEX oauth1_tokens_master_key ON oauth1_tokens (master_key_id);

-- A digest of consumer key, token, timestamp and nonce: a signed request is taken once. A row is of no use any more when
-- its timestamp is too old to be taken at all.
CREATE TABLE oauth1_nonces (
    digest bytea PRIMARY KEY,
    forget_at timestamptz NOT NULL
);

CREATE INDEX oauth1_nonces_age ON oauth1_nonces (forget_at);

-- Kept when it is used up, until it would have expired: presenting the code again takes back what it was exchanged for.
CREATE TABLE oauth2_authorizations (
    id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    application_id text COLLATE "C" NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    client_id text COLLATE "C" NOT NULL,
    redirect_uri text NOT NULL,
    state text,
    challenge_method text CHECK (challenge_method IN ('plain', 'S256')),
    challenge text,
    code_sha256 text COLLATE "C" NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz
);

CREATE INDEX oauth2_authorizations_user ON oauth2_authorizations (user_id, id DESC);

CREATE INDEX oauth2_authorizations_application ON oauth2_authorizations (application_id);

CREATE INDEX oauth2_authorizations_expiry ON oauth2_authorizations (expires_at);

-- Tokens can be listed and taken back one by one: each has an id, and an access token knows what it was issued with.
ALTER TABLE access_tokens
    ADD COLUMN id text COLLATE "C",
    ADD COLUMN refresh_token_id text COLLATE "C",
    ADD COLUMN authorization_id text COLLATE "C";

ALTER TABLE refresh_tokens
    ADD COLUMN id text COLLATE "C",
    ADD COLUMN authorization_id text COLLATE "C";

UPDATE access_tokens SET
    id = lpad(to_hex(extract(epoch FROM created_at)::bigint), 8, '0') || substr(sha256, 1, 16);

UPDATE refresh_tokens SET
    id = lpad(to_hex(extract(epoch FROM created_at)::bigint), 8, '0') || substr(sha256, 1, 16);

ALTER TABLE access_tokens ALTER COLUMN id SET NOT NULL;

ALTER TABLE refresh_tokens ALTER COLUMN id SET NOT NULL;

CREATE UNIQUE INDEX access_tokens_id ON access_tokens (id);

CREATE UNIQUE INDEX refresh_tokens_id ON refresh_tokens (id);

CREATE INDEX access_tokens_user ON access_tokens (user_id, id DESC);

CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id, id DESC);

CREATE INDEX access_tokens_application ON access_tokens (application_id);

CREATE INDEX refresh_tokens_application ON refresh_tokens (application_id);

CREATE INDEX access_tokens_authorization ON access_tokens (authorization_id) WHERE authorization_id IS NOT NULL;

CREATE INDEX refresh_tokens_authorization ON refresh_tokens (authorization_id) WHERE authorization_id IS NOT NULL;
