-- One for each filter of the api, in the order of its lists: newest first. A partition holds tasks of one status.
-- The condition always holds; a query that has none of these filters asks for it. Of any other one PostgreSQL takes what
-- is filtered for to be spread evenly, and would read all that is newer than the last task of an old name.
CREATE INDEX {leaf}_newest ON {leaf} (created_at DESC, task_id DESC) WHERE attempt > 0;
CREATE INDEX {leaf}_by_name ON {leaf} (name, created_at DESC, task_id DESC);
CREATE INDEX {leaf}_by_host ON {leaf} (host, created_at DESC, task_id DESC);
CREATE INDEX {leaf}_by_queue ON {leaf} (left(queue, 250), created_at DESC, task_id DESC);
CREATE INDEX {leaf}_by_celery_name ON {leaf} (left(celery_name, 250), created_at DESC, task_id DESC);
CREATE INDEX {leaf}_by_outcome ON {leaf} (outcome, created_at DESC, task_id DESC) WHERE outcome <> 'succeeded';
