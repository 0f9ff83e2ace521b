-- Of the tasks that were there before there were partitions, made under these names then, or now. Open and finished
-- tasks are two halves with indexes of their own: each row is in those of one half.
CREATE INDEX tasks_open ON {leaf} (created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
CREATE INDEX tasks_open_by_name ON {leaf} (name, created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
CREATE INDEX tasks_open_by_host ON {leaf} (host, created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
-- The beginning of what may be of any length: an entry of an index has at most 2,704 bytes.
CREATE INDEX tasks_open_by_queue ON {leaf} (left(queue, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
CREATE INDEX tasks_open_by_celery_name
    ON {leaf} (left(celery_name, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;

CREATE INDEX tasks_finished ON {leaf} (created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_finished_by_name ON {leaf} (name, created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_finished_by_host ON {leaf} (host, created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_finished_by_queue
    ON {leaf} (left(queue, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_finished_by_celery_name
    ON {leaf} (left(celery_name, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_completed ON {leaf} (created_at DESC, task_id DESC)
    WHERE outcome IN ('succeeded', 'ignored');
CREATE INDEX tasks_failed ON {leaf} (created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
-- Those that people look for. What succeeds is in none of these, nor in the next one.
CREATE INDEX tasks_failed_by_name ON {leaf} (name, created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX tasks_failed_by_host ON {leaf} (host, created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX tasks_failed_by_queue
    ON {leaf} (left(queue, 250), created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX tasks_failed_by_celery_name
    ON {leaf} (left(celery_name, 250), created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX tasks_by_outcome ON {leaf} (outcome, created_at DESC, task_id DESC)
    WHERE outcome <> 'succeeded';
