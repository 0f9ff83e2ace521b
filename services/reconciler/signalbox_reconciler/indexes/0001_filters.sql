-- An index for each filter of the api, in the order of its lists: newest first.
--
-- Open and finished tasks are two halves with indexes of their own: each row is in those of one half, and a list that
-- wants both takes the newest of each. No index has a column that changes when a task starts: status, worker, pid.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open ON tasks (created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open_by_name ON tasks (name, created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open_by_host ON tasks (host, created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
-- The beginning of what may be of any length: an entry of an index has at most 2,704 bytes.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open_by_queue ON tasks (left(queue, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open_by_celery_name
    ON tasks (left(celery_name, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_finished ON tasks (created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_finished_by_name ON tasks (name, created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_finished_by_host ON tasks (host, created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_finished_by_queue
    ON tasks (left(queue, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_finished_by_celery_name
    ON tasks (left(celery_name, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_completed ON tasks (created_at DESC, task_id DESC)
    WHERE outcome IN ('succeeded', 'ignored');
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_failed ON tasks (created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
-- Those that people look for. What succeeds is in none of these, nor in the next one.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_failed_by_name ON tasks (name, created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_failed_by_host ON tasks (host, created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_failed_by_queue
    ON tasks (left(queue, 250), created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_failed_by_celery_name
    ON tasks (left(celery_name, 250), created_at DESC, task_id DESC)
    WHERE outcome NOT IN ('succeeded', 'ignored');
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_by_outcome ON tasks (outcome, created_at DESC, task_id DESC)
    WHERE outcome <> 'succeeded';

DROP INDEX CONCURRENTLY IF EXISTS tasks_newest;
DROP INDEX CONCURRENTLY IF EXISTS tasks_by_status;
DROP INDEX CONCURRENTLY IF EXISTS tasks_by_name;
ANALYZE tasks;
