-- A host that was forgotten stays as `gone` for a while, so that a late event does not bring it back.
ALTER TABLE hosts DROP CONSTRAINT hosts_state_check;
ALTER TABLE hosts ADD CONSTRAINT hosts_state_check CHECK (state IN ('online', 'unknown', 'offline', 'gone'));
ALTER TABLE hosts ADD COLUMN gone_at timestamptz;

-- Seconds by which the clock of the host is ahead of that of the bus; by it the times in its events are corrected.
ALTER TABLE hosts ADD COLUMN clock_ahead double precision;
-- From now on by our clock, as heard_at.
UPDATE hosts SET seen_at = heard_at;
-- Of a clock that was ahead: the next, corrected, heartbeat must be later.
UPDATE hosts SET at = now() WHERE at > now();
UPDATE processes SET at = now() WHERE at > now();

ALTER TABLE commands DROP CONSTRAINT commands_state_check;
ALTER TABLE commands ADD CONSTRAINT commands_state_check CHECK (state IN (
    'issued', 'cancelled', 'dropped', 'finished', 'unknown', 'unsupported', 'alive', 'unproven', 'stopped',
    'started', 'incomplete', 'refused', 'expired', 'allowed', 'forgotten'
));
