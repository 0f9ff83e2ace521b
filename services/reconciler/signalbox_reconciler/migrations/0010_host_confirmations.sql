-- Which of the numbered events of each start of a controller the record has; written with the rows that they amount to.
-- The host keeps its events until all up to a number are here.
CREATE TABLE host_confirmations (
    -- Unique to one start of a controller; its events are numbered from 1.
    epoch text PRIMARY KEY,
    -- Empty until its first heartbeat.
    host text NOT NULL,
    seen int8multirange NOT NULL,
    -- The number of its latest event, according to its heartbeats.
    announced bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
