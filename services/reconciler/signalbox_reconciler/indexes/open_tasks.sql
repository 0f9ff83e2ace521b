-- One for each filter of the api, in the order of its lists: newest first. None has a column that changes when a task
-- starts or is updated, not even in a condition: status, worker, pid. So these updates are HOT. A task that has finished
-- leaves this partition in the same transaction, and is in none of these: one that is recorded as a whole costs nothing
-- here, and its end one entry of the key.
CREATE INDEX {leaf}_unfinished ON {leaf} (created_at DESC, task_id DESC) WHERE finished_at IS NULL;
CREATE INDEX {leaf}_unfinished_by_name ON {leaf} (name, created_at DESC, task_id DESC) WHERE finished_at IS NULL;
CREATE INDEX {leaf}_unfinished_by_host ON {leaf} (host, created_at DESC, task_id DESC) WHERE finished_at IS NULL;
-- The beginning of what may be of any length: an entry of an index has at most 2,704 bytes.
CREATE INDEX {leaf}_unfinished_by_queue ON {leaf} (left(queue, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
CREATE INDEX {leaf}_unfinished_by_celery_name ON {leaf} (left(celery_name, 250), created_at DESC, task_id DESC)
    WHERE finished_at IS NULL;
-- For the rounds about tasks that wait; it changes with a round, and when a task begins to wait anew.
CREATE INDEX {leaf}_unfinished_by_round ON {leaf} (asked_at) WHERE finished_at IS NULL;
