-- One row for each task that a cancel is about, whether the command names one task or many.
CREATE TABLE cancels (
    task_id text COLLATE "C" NOT NULL,
    command_id text NOT NULL,
    -- None: a host has answered, and the command itself is not recorded yet.
    issued_at timestamptz,
    -- `issued`, then the gravest that a host said of the task; or, while none said anything, what that amounts to.
    state text NOT NULL DEFAULT 'issued' CHECK (state IN (
        'issued', 'cancelled', 'dropped', 'finished', 'unknown', 'unsupported', 'alive', 'unproven', 'refused'
    )),
    -- How grave that is; negative where nobody said it.
    weight smallint NOT NULL DEFAULT -1,
    detail text NOT NULL DEFAULT '',
    finished_at timestamptz,
    PRIMARY KEY (task_id, command_id)
) WITH (fillfactor = 80);

CREATE INDEX cancels_of_command ON cancels (command_id);
CREATE INDEX cancels_by_age ON cancels ((COALESCE(issued_at, finished_at)));

-- Until now hosts refused cancels that came late.
INSERT INTO cancels (task_id, command_id, issued_at, state, detail, finished_at)
SELECT task_id, command_id, issued_at, CASE state WHEN 'expired' THEN 'refused' ELSE state END, detail, finished_at
FROM commands
WHERE task_id IS NOT NULL AND state NOT IN ('stopped', 'started', 'incomplete');

-- Of cancels: how many tasks they are about, and for how many of those it is known what came of it.
ALTER TABLE commands
    ADD COLUMN tasks_total integer NOT NULL DEFAULT 0,
    ADD COLUMN tasks_done integer NOT NULL DEFAULT 0;
UPDATE commands SET tasks_total = 1, tasks_done = (state <> 'issued')::integer WHERE task_id IS NOT NULL;
ALTER TABLE commands DROP COLUMN task_id;
