-- Processes that run, and that the configuration of their host does not name (any more), or has with other options.
ALTER TABLE processes ADD COLUMN configured boolean NOT NULL DEFAULT true;
ALTER TABLE processes ADD COLUMN outdated text NOT NULL DEFAULT '';
