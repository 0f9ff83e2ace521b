-- What proves on a host that nothing of a task is left, and why it is that; none: its controller does not say.
ALTER TABLE hosts
    ADD COLUMN proof text CHECK (proof IN ('cgroup', 'search')),
    ADD COLUMN proof_detail text NOT NULL DEFAULT '';
-- What proved that of a cancelled run, and how many processes a run has left running.
ALTER TABLE tasks
    ADD COLUMN proof text CHECK (proof IN ('cgroup', 'search')),
    ADD COLUMN left_processes integer NOT NULL DEFAULT 0;
ALTER TABLE task_logs
    ADD COLUMN proof text CHECK (proof IN ('cgroup', 'search')),
    ADD COLUMN left_processes integer NOT NULL DEFAULT 0;
