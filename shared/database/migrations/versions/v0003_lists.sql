-- A list tells how many there are in all: that is counted where it happens, for each door executions come through,
-- together with how many of them retention has taken since.

ALTER TABLE function_stats
    ADD COLUMN kind text COLLATE "C" NOT NULL DEFAULT 'neo',
    ADD COLUMN gone_completed bigint NOT NULL DEFAULT 0,
    ADD COLUMN gone_failed bigint NOT NULL DEFAULT 0,
    ADD COLUMN gone_cancelled bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT function_stats_pkey,
    ADD PRIMARY KEY (function_id, kind, shard);

-- There was no other door until now; from here on it is always said.
ALTER TABLE function_stats ALTER COLUMN kind DROP DEFAULT;

-- What lists are ordered by and what their dates mean: the start of the run, its acceptance while it waits.
ALTER TABLE executions ADD COLUMN began_at timestamptz GENERATED ALWAYS AS (coalesce(started_at, accepted_at)) STORED;

DROP INDEX executions_function;

CREATE INDEX executions_function ON executions (function_id, kind, began_at DESC, id DESC) INCLUDE (status);

-- The few among the many.
CREATE INDEX executions_failed ON executions (function_id, kind, began_at DESC, id DESC)
WHERE status IN ('failed', 'cancelled');

DROP INDEX executions_running;

CREATE INDEX executions_live ON executions (function_id, kind, began_at DESC, id DESC)
WHERE status IN ('queued', 'running');
