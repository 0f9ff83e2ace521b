-- A host that was forgotten stays as `gone` for a while, so that a late event does not bring it back.
ALTER TABLE hosts DROP CONSTRAINT hosts_state_check;
ALTER TABLE hosts ADD CONSTRAINT hosts_state_check CHECK (state IN ('online', 'unknown', 'offline', 'gone'));
ALTER TABLE hosts ADD COLUMN gone_at timestamptz;

ALTER TABLE commands DROP CONSTRAINT commands_state_check;
ALTER TABLE commands ADD CONSTRAINT commands_state_check CHECK (state IN (
    'issued', 'cancelled', 'dropped', 'finished', 'unknown', 'unsupported', 'alive', 'unproven', 'stopped',
    'started', 'incomplete', 'refused', 'expired', 'allowed', 'forgotten'
));
