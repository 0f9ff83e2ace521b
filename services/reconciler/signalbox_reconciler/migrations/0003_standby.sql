-- A beat that does not run because another host's does: nothing is wrong with it.
ALTER TABLE processes ADD COLUMN standby boolean NOT NULL DEFAULT false;
