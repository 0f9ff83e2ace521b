-- One row for each reconciler: its heartbeat. Times by the clock of PostgreSQL, so that their age needs no other.
CREATE TABLE reconcilers (
    member text PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now(),
    -- Every event that was published until then is in the record; none: Redis has not answered it yet.
    complete_at timestamptz
) WITH (fillfactor = 50);
