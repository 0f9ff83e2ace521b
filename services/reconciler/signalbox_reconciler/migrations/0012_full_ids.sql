-- `task_id` is the key of a task, which fits into every index: its id, or the beginning of a long one with a digest.
ALTER TABLE tasks
    -- The whole id, where `task_id` is not that.
    ADD COLUMN full_id text;
