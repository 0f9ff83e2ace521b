-- How many tasks there are by status, outcome, name, queue and host: kept, because to count ten million takes seconds.
-- Each statement that changes tasks adds to the deltas, in its own transaction; the sweep folds the deltas into the
-- sums. A number is the sum over both tables, so two reconcilers never wait for each other at a number.
CREATE TABLE task_counts (
    dimension text NOT NULL CHECK (dimension IN ('status', 'outcome', 'name', 'queue', 'host')),
    value text NOT NULL,
    -- Of a name: the whole name in Celery; else empty.
    detail text NOT NULL,
    status text NOT NULL,
    tasks bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE task_count_deltas (LIKE task_counts)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Add the rows of the transition table `changed` with a sign.
CREATE FUNCTION count_changed_tasks() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO task_count_deltas (dimension, value, detail, status, tasks)
    SELECT d.dimension, d.value, d.detail, t.status, sum(t.tasks) * TG_ARGV[0]::integer
    FROM (
        SELECT status, outcome, name, celery_name, queue, host, count(*) AS tasks
        FROM changed GROUP BY 1, 2, 3, 4, 5, 6
    ) AS t CROSS JOIN LATERAL (VALUES
        ('status', t.status, ''), ('outcome', t.outcome, ''), ('name', t.name, t.celery_name), ('queue', t.queue, ''),
        ('host', t.host, '')
    ) AS d (dimension, value, detail)
    WHERE d.value <> ''
    GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END
$$;

CREATE TRIGGER tasks_counted_inserted AFTER INSERT ON tasks
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_changed_tasks('1');
CREATE TRIGGER tasks_counted_deleted AFTER DELETE ON tasks
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_changed_tasks('-1');
CREATE TRIGGER tasks_counted_updated_from AFTER UPDATE ON tasks
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_changed_tasks('-1');
CREATE TRIGGER tasks_counted_updated_to AFTER UPDATE ON tasks
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_changed_tasks('1');

-- Fold the deltas that are committed into the sums, unless another reconciler does so now.
CREATE FUNCTION fold_task_counts() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM task_count_deltas) OR NOT pg_try_advisory_xact_lock(hashtext('signalbox task counts')) THEN
        RETURN;
    END IF;
    WITH folded AS (
        DELETE FROM task_count_deltas RETURNING *
    ), added AS (
        SELECT dimension, value, detail, status, sum(tasks) AS tasks
        FROM folded GROUP BY 1, 2, 3, 4 HAVING sum(tasks) <> 0
    ), updated AS (
        UPDATE task_counts AS c SET tasks = c.tasks + a.tasks FROM added AS a
        WHERE (c.dimension, c.value, c.detail, c.status) = (a.dimension, a.value, a.detail, a.status)
        RETURNING c.dimension, c.value, c.detail, c.status
    )
    INSERT INTO task_counts (dimension, value, detail, status, tasks)
    SELECT dimension, value, detail, status, tasks FROM added AS a WHERE NOT EXISTS (
        SELECT FROM updated AS u
        WHERE (u.dimension, u.value, u.detail, u.status) = (a.dimension, a.value, a.detail, a.status)
    );
    DELETE FROM task_counts WHERE tasks = 0;
END
$$;

-- Make the sums anew from the tasks, while others write: what the deltas have that is committed is in the tasks, too.
CREATE FUNCTION recount_tasks() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('signalbox task counts'));
    DELETE FROM task_counts;
    INSERT INTO task_counts (dimension, value, detail, status, tasks)
    SELECT dimension, value, detail, status, sum(tasks) FROM (
        SELECT d.dimension, d.value, d.detail, t.status, t.tasks
        FROM (
            SELECT status, outcome, name, celery_name, queue, host, count(*) AS tasks
            FROM tasks GROUP BY 1, 2, 3, 4, 5, 6
        ) AS t CROSS JOIN LATERAL (VALUES
            ('status', t.status, ''), ('outcome', t.outcome, ''), ('name', t.name, t.celery_name),
            ('queue', t.queue, ''), ('host', t.host, '')
        ) AS d (dimension, value, detail)
        WHERE d.value <> ''
        UNION ALL
        SELECT dimension, value, detail, status, -tasks FROM task_count_deltas
    ) AS counted
    GROUP BY 1, 2, 3, 4 HAVING sum(tasks) <> 0;
END
$$;
