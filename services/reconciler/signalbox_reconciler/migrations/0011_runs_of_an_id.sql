-- A task shows the liveliest of all runs of its id: status and cancel are decided over all of them.

-- Retries and time of a run's key, for its order: compared as numbers, however long they are.
CREATE FUNCTION run_order(run text) RETURNS numeric[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[
        COALESCE(substring(run FROM '^([0-9]{1,99})(?:\.|$)'), '0')::numeric,
        COALESCE(substring(run FROM '^[^.]*\.([0-9]{1,99})(?:\.|$)'), '0')::numeric
    ]
$$;

-- Of the key of a delivery that can be told apart from every other one: `w`, or `r` if it was redelivered.
CREATE FUNCTION delivery_kind(delivery text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substring(delivery FROM '^[^.]*\.[^.]*\.[^.]*\.([wr])[0-9]{1,99}(?:\.|$)')
$$;

-- Deliveries that wait in a worker. There is none once the delivery has a log.
CREATE TABLE task_waits (
    task_id text COLLATE "C" NOT NULL,
    -- The key of the delivery.
    run text COLLATE "C" NOT NULL,
    confirmed boolean NOT NULL,
    precedence bigint NOT NULL,
    retries integer NOT NULL,
    host text,
    worker text,
    PRIMARY KEY (task_id, run)
);

-- A log is a run, or a delivery that ended before it ran. By which delivery a run came; empty where nobody said.
ALTER TABLE task_logs
    ADD COLUMN delivery text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN cancel_signal text CHECK (cancel_signal IN ('TERM', 'KILL')),
    ADD COLUMN cancel_kill_at timestamptz;

UPDATE task_logs AS l SET cancel_signal = t.cancel_signal, cancel_kill_at = t.cancel_kill_at
FROM tasks AS t WHERE t.task_id = l.task_id AND t.run = l.run AND t.cancel_signal IS NOT NULL;

INSERT INTO task_waits (task_id, run, confirmed, precedence, retries, host, worker)
SELECT task_id, run, confirmed, precedence, retries, host, worker FROM tasks WHERE phase = 1;

INSERT INTO task_logs
    (task_id, run, delivery, attempt, phase, confirmed, precedence, status, outcome, error, retries, host, worker,
    finished_at)
SELECT task_id, run, run, attempt, phase, confirmed, precedence, status, outcome, error, retries, host, worker,
    finished_at
FROM tasks AS t
WHERE phase = 4 AND started_at IS NULL
    AND NOT EXISTS (SELECT FROM task_logs AS l WHERE l.task_id = t.task_id AND l.run = t.run);

-- A task that was cancelled while it waited to be tried again, or to be run again: its next delivery ended before it came.
WITH cancelled AS (
    SELECT t.*, format('%s.%s.cancelled.w0', t.retries,
        GREATEST(trunc(EXTRACT(EPOCH FROM t.finished_at) * 1000), (run_order(t.run))[2] + 1)) AS next
    FROM tasks AS t JOIN task_logs AS l USING (task_id, run) WHERE t.phase = 4 AND l.phase = 3
), logged AS (
    INSERT INTO task_logs
        (task_id, run, delivery, attempt, phase, confirmed, precedence, status, outcome, error, retries, finished_at)
    SELECT task_id, next, next, attempt + 1, phase, confirmed, precedence, status, outcome, error, retries, finished_at
    FROM cancelled
)
UPDATE tasks AS t SET run = c.next, attempt = c.attempt + 1, host = NULL, worker = NULL, started_at = NULL, pid = NULL,
    cancel_signal = NULL, cancel_kill_at = NULL
FROM cancelled AS c WHERE t.task_id = c.task_id;

-- The latest release of each id that was cancelled: cancels that were given before it are void.
CREATE TABLE allows (
    task_id text COLLATE "C" PRIMARY KEY,
    issued_at timestamptz NOT NULL,
    command_id text NOT NULL
);

ALTER TABLE commands DROP CONSTRAINT commands_state_check;
ALTER TABLE commands ADD CONSTRAINT commands_state_check CHECK (state IN (
    'issued', 'cancelled', 'dropped', 'finished', 'unknown', 'unsupported', 'alive', 'unproven', 'stopped', 'started',
    'incomplete', 'allowed', 'refused', 'expired'
));
