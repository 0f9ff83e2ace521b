-- The hosts that a command names, one a line; none of them means every host. It is over when each has answered.
ALTER TABLE commands ADD COLUMN hosts text NOT NULL DEFAULT '';
