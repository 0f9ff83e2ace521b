-- A worker that somebody else launched: it is seen, and its tasks are cancelled, but it is not ours to stop or start.
ALTER TABLE processes ADD COLUMN guest boolean NOT NULL DEFAULT false;
