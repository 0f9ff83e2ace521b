-- Tasks and their logs lie in partitions by `period`: 0 the open tasks, which are few and hot; above 1 the completed
-- and below 0 the failed ones, one period of time after the other; 1 what was there before there were periods. Logs lie
-- with their task. Tables are made into partitions by signalbox_reconciler.partitions, outside of this transaction.
ALTER TABLE tasks ADD COLUMN period integer NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD CONSTRAINT tasks_before_periods CHECK (period = 1) NOT VALID;
ALTER TABLE task_logs ADD COLUMN period integer NOT NULL DEFAULT 1;
ALTER TABLE task_logs ADD CONSTRAINT task_logs_before_periods CHECK (period = 1) NOT VALID;

-- The periods of finished tasks. The present one of a status is the latest that has begun; it ends with the next.
CREATE TABLE periods (
    period integer PRIMARY KEY CHECK (period <> 0),
    -- None: both, of what was there before.
    status text CHECK (status IN ('completed', 'failed')),
    -- By the clock of PostgreSQL. A task belongs to the period in which its end was recorded.
    begins timestamptz NOT NULL DEFAULT now(),
    -- Its partitions hold nothing any more that is found, and are yet to be dropped.
    detached boolean NOT NULL DEFAULT false
);

-- Of these ids those whose task is not open. VOLATILE, so that in a statement that adds tasks it sees what others have
-- committed until then.
CREATE FUNCTION finished_among(ids text[]) RETURNS text[] LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
BEGIN
    IF ids IS NULL THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT task_id FROM tasks WHERE period <> 0 AND task_id = ANY(ids));
END
$$;

-- Add what a statement has changed: the rows that are there now less those that were there before. What merely goes
-- from one partition to another adds nothing.
CREATE FUNCTION count_updated_tasks() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO task_count_deltas (dimension, value, detail, status, tasks)
    SELECT d.dimension, d.value, d.detail, t.status, sum(t.tasks)
    FROM (
        SELECT status, outcome, name, celery_name, queue, host, sum(tasks) AS tasks
        FROM (
            SELECT status, outcome, name, celery_name, queue, host, 1 AS tasks FROM after
            UNION ALL SELECT status, outcome, name, celery_name, queue, host, -1 FROM before
        ) AS changed
        GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(tasks) <> 0
    ) AS t CROSS JOIN LATERAL (VALUES
        ('status', t.status, ''), ('outcome', t.outcome, ''), ('name', t.name, t.celery_name), ('queue', t.queue, ''),
        ('host', t.host, '')
    ) AS d (dimension, value, detail)
    WHERE d.value <> ''
    GROUP BY 1, 2, 3, 4 HAVING sum(t.tasks) <> 0;
    RETURN NULL;
END
$$;
DROP TRIGGER tasks_counted_updated_from ON tasks;
DROP TRIGGER tasks_counted_updated_to ON tasks;
CREATE TRIGGER tasks_counted_updated AFTER UPDATE ON tasks
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_updated_tasks();
