-- Waiting is a claim that is compared with queues and workers in rounds.
ALTER TABLE tasks
    -- The latest round that asked about it, by this server's clock; until there was one, when it began to wait.
    ADD COLUMN asked_at timestamptz NOT NULL DEFAULT now(),
    -- The latest round in which somebody saw it wait, or the arrival of the fact that is shown.
    ADD COLUMN vouched_at timestamptz NOT NULL DEFAULT now(),
    -- The latest round in which the host of its last worker did not find it.
    ADD COLUMN absent_at timestamptz,
    -- The first complete round in which nobody saw it; void if somebody did since.
    ADD COLUMN absent_since timestamptz,
    -- Whether it is not confirmed because nobody saw it wait; what was never seen is not confirmed by that either.
    ADD COLUMN doubted boolean NOT NULL DEFAULT false;

CREATE INDEX tasks_waiting ON tasks (asked_at) WHERE status = 'pending';

-- NOT VALID: what is there is made of fewer words, and need not be read again.
ALTER TABLE tasks DROP CONSTRAINT tasks_outcome_check;
ALTER TABLE tasks ADD CONSTRAINT tasks_outcome_check CHECK (outcome IN (
    'succeeded', 'ignored', 'error', 'cancelled', 'stopped', 'worker_lost', 'time_limit', 'revoked', 'expired',
    'rejected', 'discarded'
)) NOT VALID;
ALTER TABLE task_logs DROP CONSTRAINT task_logs_outcome_check;
ALTER TABLE task_logs ADD CONSTRAINT task_logs_outcome_check CHECK (outcome IN (
    'succeeded', 'ignored', 'error', 'cancelled', 'stopped', 'worker_lost', 'time_limit', 'revoked', 'expired',
    'rejected', 'discarded'
)) NOT VALID;

-- Rounds of the last minutes.
CREATE TABLE waiting_rounds (
    asked_at timestamptz PRIMARY KEY
);

-- The hosts that have answered in a round.
CREATE TABLE waiting_answers (
    asked_at timestamptz NOT NULL,
    host text NOT NULL,
    PRIMARY KEY (asked_at, host)
);
