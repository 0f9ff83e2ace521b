-- The trail: who did what, and how it ended; see docs/audit.md. A line is appended in the transaction of the fact that it
-- is about, and takes no lock. One reconciler at a time chains the lines a moment later, in tables of their own, so that
-- nothing ever updates a line. All that writes these tables are the functions below, which run with their owner's rights:
-- the services need none on the tables.
CREATE TABLE trail (
    line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The role of PostgreSQL that wrote it; nobody can give another one.
    written_by text NOT NULL DEFAULT session_user,
    -- Of the transaction that wrote it; what is chained already is told by it without reading all.
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL,
    who text NOT NULL,
    address text NOT NULL,
    about text NOT NULL,
    -- JSON. As text: the bytes that were hashed.
    details text NOT NULL,
    outcome text NOT NULL
);
CREATE INDEX trail_xact ON trail (xact);
CREATE INDEX trail_settings ON trail (about, line) WHERE kind = 'settings';

-- Numbers without a gap, each with the line that has it, and the hash over that line and the hash before.
CREATE TABLE trail_chain (
    number bigint PRIMARY KEY,
    line bigint NOT NULL UNIQUE,
    hash bytea NOT NULL
);

-- `cut`: the last line that retention removed; `head`: the last one that was chained.
CREATE TABLE trail_ends (
    name text PRIMARY KEY CHECK (name IN ('cut', 'head')),
    number bigint NOT NULL,
    hash bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO trail_ends (name, number, hash)
SELECT name, 0, decode(repeat('00', 32), 'hex') FROM unnest(ARRAY['cut', 'head']) AS name;

-- A time as it is hashed and shown: RFC 3339 in UTC, with all six digits of the microseconds.
CREATE FUNCTION trail_time(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        || CASE WHEN at < '0001-01-01 00:00:00+00' THEN ' BC' ELSE '' END
$$;

-- A field of the bytes that are hashed: its length in bytes, a colon, itself, a comma (a netstring).
CREATE FUNCTION trail_field(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT octet_length(convert_to(value, 'UTF8')) || ':' || value || ','
$$;

CREATE FUNCTION append_trail(kind text, who text, address text, about text, details text, outcome text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO signalbox.trail (kind, who, address, about, details, outcome) VALUES ($1, $2, $3, $4, $5, $6);
END
$$;

-- Chain up to `most` lines of transactions from `since` on. Returns how many, and from where to look the next time: all
-- lines of transactions before are chained. What another reconciler is about to chain is left to it.
CREATE FUNCTION chain_trail(INOUT since xid8, most integer, OUT chained integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    l record;
    n bigint;
    h bytea;
    mark xid8;
BEGIN
    chained := 0;
    IF NOT pg_try_advisory_xact_lock(hashtext('signalbox trail')) THEN
        RETURN;
    END IF;
    mark := pg_snapshot_xmin(pg_current_snapshot());
    SELECT number, hash INTO STRICT n, h FROM signalbox.trail_ends WHERE name = 'head';
    FOR l IN
        SELECT t.* FROM signalbox.trail AS t
        WHERE t.xact >= since AND NOT EXISTS (SELECT FROM signalbox.trail_chain AS c WHERE c.line = t.line)
        ORDER BY t.line LIMIT most
    LOOP
        n := n + 1;
        h := sha256(convert_to(
            signalbox.trail_field(n::text) || signalbox.trail_field(encode(h, 'hex'))
            || signalbox.trail_field(l.line::text) || signalbox.trail_field(signalbox.trail_time(l.at))
            || signalbox.trail_field(l.written_by) || signalbox.trail_field(l.kind) || signalbox.trail_field(l.who)
            || signalbox.trail_field(l.address) || signalbox.trail_field(l.about) || signalbox.trail_field(l.details)
            || signalbox.trail_field(l.outcome), 'UTF8'
        ));
        INSERT INTO signalbox.trail_chain (number, line, hash) VALUES (n, l.line, h);
        chained := chained + 1;
    END LOOP;
    IF chained > 0 THEN
        UPDATE signalbox.trail_ends SET number = n, hash = h, at = now() WHERE name = 'head';
    END IF;
    IF chained < most THEN
        since := mark;
    END IF;
END
$$;

-- Remove up to `most` of the oldest lines, as far as they are older than `kept`, from the beginning of the chain only, and
-- note the number and the hash of the last of them; returns how many numbers. Lines that somebody removed before go
-- with the next older one that is there.
CREATE FUNCTION cut_trail(kept interval, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first bigint;
    last bigint;
BEGIN
    IF kept < interval '1 day' THEN
        RAISE EXCEPTION 'the lines of the trail are kept for a day at least';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('signalbox trail')) THEN
        RETURN 0;
    END IF;
    WITH oldest AS (
        SELECT c.number, t.at < now() - kept AS is_old
        FROM signalbox.trail_chain AS c LEFT JOIN signalbox.trail AS t ON t.line = c.line
        ORDER BY c.number LIMIT most
    )
    SELECT min(number), max(number) FILTER (WHERE is_old AND number < COALESCE(
        (SELECT min(number) FROM oldest WHERE NOT is_old), number + 1
    )) INTO first, last FROM oldest;
    IF last IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE signalbox.trail_ends AS e SET number = c.number, hash = c.hash, at = now()
    FROM signalbox.trail_chain AS c WHERE e.name = 'cut' AND c.number = last;
    DELETE FROM signalbox.trail AS t USING signalbox.trail_chain AS c WHERE c.line = t.line AND c.number <= last;
    DELETE FROM signalbox.trail_chain WHERE number <= last;
    RETURN last - first + 1;
END
$$;

-- Lines of commands and their outcomes, and of hosts that are forgotten: whatever statement writes them.
CREATE FUNCTION trail_commands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO signalbox.trail (kind, who, address, about, details, outcome)
    SELECT 'command', issued_by, issued_from, target, json_build_object(
        'command', command, 'command_id', command_id, 'reason', reason, 'tasks', tasks_total,
        'issued_at', signalbox.trail_time(issued_at), 'detail', detail
    )::text, state
    FROM added ORDER BY issued_at, command_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER commands_on_trail AFTER INSERT ON commands
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION trail_commands();

CREATE FUNCTION trail_outcomes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO signalbox.trail (kind, who, address, about, details, outcome)
    SELECT 'outcome', a.issued_by, a.issued_from, a.target, json_build_object(
        'command', a.command, 'command_id', a.command_id, 'tasks_done', a.tasks_done,
        'finished_at', signalbox.trail_time(a.finished_at), 'detail', a.detail
    )::text, a.state
    FROM after AS a JOIN before AS b USING (command_id)
    WHERE a.state <> 'issued' AND (a.state, a.detail) IS DISTINCT FROM (b.state, b.detail)
    ORDER BY a.finished_at, a.command_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER outcomes_on_trail AFTER UPDATE ON commands
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION trail_outcomes();

CREATE FUNCTION trail_forgotten_host() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO signalbox.trail (kind, who, address, about, details, outcome) VALUES (
        'host', 'service:reconciler', '', NEW.name,
        json_build_object('was', OLD.state, 'reported_at', signalbox.trail_time(OLD.heard_at))::text, 'forgotten'
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER forgotten_hosts_on_trail AFTER UPDATE ON hosts FOR EACH ROW
    WHEN (NEW.state = 'gone' AND OLD.state <> 'gone') EXECUTE FUNCTION trail_forgotten_host();
