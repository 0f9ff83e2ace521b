-- The queues that a worker consumes, by its own report: those of its application, or added later by remote control.
ALTER TABLE processes ADD COLUMN queues text[] NOT NULL DEFAULT '{}';
