-- The record. Its only writer is the reconciler; everybody else reads.
--
-- Columns that a view shows bear the names of signalbox.messages.views. Of two facts about a row the one with the
-- greater (run, phase, confirmed, precedence) is shown; run is compared byte by byte, hence the collation.

CREATE TABLE tasks (
    task_id text COLLATE "C" PRIMARY KEY,

    -- The fact that is shown.
    run text COLLATE "C" NOT NULL,
    phase smallint NOT NULL CHECK (phase BETWEEN 1 AND 4),
    confirmed boolean NOT NULL,
    precedence bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed')),
    outcome text CHECK (outcome IN (
        'succeeded', 'ignored', 'error', 'cancelled', 'stopped', 'worker_lost', 'time_limit', 'revoked', 'expired',
        'rejected'
    )),
    error text,
    retries integer NOT NULL,
    host text,
    worker text,
    finished_at timestamptz,

    -- What all facts about the run that is shown add up to.
    started_at timestamptz,
    pid integer,
    cancel_signal text CHECK (cancel_signal IN ('TERM', 'KILL')),
    cancel_kill_at timestamptz,
    -- GREATEST alone would make a zero of what is not known yet.
    runtime double precision GENERATED ALWAYS AS (
        CASE WHEN finished_at < started_at THEN 0 ELSE EXTRACT(EPOCH FROM finished_at - started_at) END
    ) STORED,

    -- What the best informed fact says of the task itself, whatever its run.
    details_key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    celery_name text NOT NULL,
    queue text NOT NULL,
    args text NOT NULL,
    kwargs text NOT NULL,
    eta timestamptz,
    root_id text,
    parent_id text,

    -- What all facts about the task add up to.
    created_at timestamptz NOT NULL,
    attempt integer NOT NULL,

    -- The cancel that was asked for first, of those that did not come to nothing.
    cancel_requested_at timestamptz,
    cancel_command_id text,

    updated_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT tasks_outcome_when_final CHECK ((outcome IS NULL) = (status IN ('pending', 'running'))),
    CONSTRAINT tasks_finish_when_final CHECK ((finished_at IS NULL) = (status IN ('pending', 'running')))
) WITH (fillfactor = 80);

CREATE INDEX tasks_newest ON tasks (created_at DESC, task_id DESC);
CREATE INDEX tasks_by_status ON tasks (status, created_at DESC, task_id DESC);
CREATE INDEX tasks_by_name ON tasks (name, created_at DESC, task_id DESC);

-- One row for each run that was started.
CREATE TABLE task_logs (
    task_id text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    log_id bigint GENERATED ALWAYS AS IDENTITY,
    attempt integer NOT NULL,
    phase smallint NOT NULL CHECK (phase BETWEEN 2 AND 4),
    confirmed boolean NOT NULL,
    precedence bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    outcome text CHECK (outcome IN (
        'succeeded', 'ignored', 'error', 'cancelled', 'stopped', 'worker_lost', 'time_limit', 'revoked', 'expired',
        'rejected'
    )),
    error text,
    traceback text,
    retries integer NOT NULL,
    host text,
    worker text,
    pid integer,
    started_at timestamptz,
    finished_at timestamptz,
    -- Since when its host's heartbeats do not list it although it should be running there.
    missing_since timestamptz,
    PRIMARY KEY (task_id, run),
    CONSTRAINT task_logs_outcome_when_final CHECK ((outcome IS NULL) = (status = 'running')),
    CONSTRAINT task_logs_finish_when_final CHECK ((finished_at IS NULL) = (status = 'running'))
) WITH (fillfactor = 80);

CREATE INDEX task_logs_running ON task_logs (host) WHERE status = 'running';

CREATE TABLE hosts (
    name text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('online', 'unknown', 'offline')),
    -- By the host's own clock.
    seen_at timestamptz NOT NULL,
    -- By ours: clocks may differ, and silence is what we do not hear.
    heard_at timestamptz NOT NULL DEFAULT now(),
    -- The time of the fact that is shown.
    at timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE processes (
    host text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('worker', 'beat')),
    state text NOT NULL CHECK (state IN (
        'stopped', 'starting', 'running', 'draining', 'stopping', 'backoff', 'fatal', 'unknown'
    )),
    desired text NOT NULL CHECK (desired IN (
        'stopped', 'starting', 'running', 'draining', 'stopping', 'backoff', 'fatal', 'unknown'
    )),
    instance text NOT NULL,
    pid integer,
    node text NOT NULL,
    since timestamptz,
    exit_code integer,
    message text NOT NULL,
    -- The time of the fact that is shown, by the host's clock.
    at timestamptz NOT NULL,
    PRIMARY KEY (host, name)
) WITH (fillfactor = 50);

-- The audit trail: one row for each command that was read from the bus, the refused ones too.
CREATE TABLE commands (
    command_id text PRIMARY KEY,
    command text NOT NULL,
    target text NOT NULL,
    -- Of a CancelTask that was properly signed.
    task_id text COLLATE "C",
    issued_by text NOT NULL,
    issued_from text NOT NULL,
    reason text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- When an answer should have come at the latest.
    answer_by timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN (
        'issued', 'cancelled', 'dropped', 'finished', 'unknown', 'unsupported', 'alive', 'unproven', 'stopped',
        'started', 'incomplete', 'refused', 'expired'
    )),
    detail text NOT NULL,
    finished_at timestamptz
);

CREATE INDEX commands_newest ON commands (issued_at DESC, command_id DESC);
CREATE INDEX commands_of_task ON commands (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX commands_open ON commands (answer_by) WHERE state = 'issued';

-- What each host said of a command; may be there before the command itself.
CREATE TABLE command_answers (
    command_id text NOT NULL,
    host text NOT NULL,
    verdict text NOT NULL,
    weight smallint NOT NULL,
    detail text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (command_id, host)
);
