-- When each package was last asked to be kept, wherever packages are; who deletes one holds its row until it is gone.
CREATE TABLE package_uses (
    sha256 text COLLATE "C" PRIMARY KEY,
    used_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX package_uses_age ON package_uses (used_at);

INSERT INTO package_uses (sha256)
SELECT sha256 FROM packages
UNION SELECT package_sha256 FROM function_versions
UNION SELECT upload_sha256 FROM deployments WHERE upload_sha256 IS NOT NULL;

-- The package a deployment has built, before any version names it.
ALTER TABLE deployments ADD COLUMN package_sha256 text COLLATE "C";

CREATE INDEX function_versions_package ON function_versions (package_sha256);

-- A version that is deleted must be no function's active one.
CREATE INDEX functions_active_version ON functions (active_version_id) WHERE active_version_id IS NOT NULL;
