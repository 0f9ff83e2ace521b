-- One for each filter of the api, in the order of its lists: newest first. None has a column that changes when a task
-- starts or is updated, not even in a condition: status, worker, pid, finished_at. So these updates are HOT.
CREATE INDEX {leaf}_newest ON {leaf} (created_at DESC, task_id DESC);
CREATE INDEX {leaf}_by_name ON {leaf} (name, created_at DESC, task_id DESC);
CREATE INDEX {leaf}_by_host ON {leaf} (host, created_at DESC, task_id DESC);
-- The beginning of what may be of any length: an entry of an index has at most 2,704 bytes.
CREATE INDEX {leaf}_by_queue ON {leaf} (left(queue, 250), created_at DESC, task_id DESC);
CREATE INDEX {leaf}_by_celery_name ON {leaf} (left(celery_name, 250), created_at DESC, task_id DESC);
-- For the rounds about tasks that wait; it changes with a round, and when a task begins to wait anew.
CREATE INDEX {leaf}_by_round ON {leaf} (asked_at);
