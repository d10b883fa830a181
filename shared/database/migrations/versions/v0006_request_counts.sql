-- A list tells how many API requests there are in all: those of a function are counted where they are written and
-- where retention takes them, not read. Sums over the shards are the truth; a process writes a shard of its own.

CREATE TABLE api_request_counts (
    environment_id text COLLATE "C" NOT NULL,
    function_name text COLLATE "C" NOT NULL,
    shard smallint NOT NULL,
    stored bigint NOT NULL,
    PRIMARY KEY (environment_id, function_name, shard)
) WITH (fillfactor = 50);

INSERT INTO api_request_counts (environment_id, function_name, shard, stored)
SELECT environment_id, function_name, 0, count(*) FROM api_requests GROUP BY environment_id, function_name;

-- The few among the many.
CREATE INDEX api_requests_failed ON api_requests (environment_id, function_name, timestamp DESC, id DESC)
INCLUDE (error_type) WHERE error_type IS NOT NULL;
