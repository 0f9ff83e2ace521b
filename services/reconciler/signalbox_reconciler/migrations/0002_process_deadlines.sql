-- When a process that is told to stop will be killed, so that people see how long its tasks still have.
ALTER TABLE processes ADD COLUMN kill_at timestamptz;
