-- A role of PostgreSQL for each service, with what it needs and no more; none owns the trail, users or the schema.
--
-- Run it by psql as the owner of the tables, which may make roles (or as a superuser), in the database of the record, after
-- `signalbox setup` with that owner's address, and again after each update of Signalbox:
--
--     psql "$OWNER_URL" --single-transaction --file deploy/postgres/roles.sql
--     psql "$OWNER_URL" --command '\password signalbox_api' --command '\password signalbox_reconciler'
--
-- Then give each service the address with its own role. Migrations stay with the owner: a service that finds tables older
-- than itself says so and ends. Running it twice changes nothing.

DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['signalbox_api', 'signalbox_reconciler'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', service);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), service);
    END LOOP;
    -- Later migrations change the tables that the reconciler owns.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT signalbox_reconciler TO %I', current_user);
    END IF;
END
$$;

SET LOCAL search_path = signalbox;
REVOKE ALL ON SCHEMA signalbox FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA signalbox FROM PUBLIC, signalbox_api, signalbox_reconciler;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA signalbox FROM PUBLIC, signalbox_api, signalbox_reconciler;
GRANT USAGE ON SCHEMA signalbox TO signalbox_api;
-- The reconciler makes and drops the partitions of tasks and their logs, so it owns these two, and nothing else.
GRANT USAGE, CREATE ON SCHEMA signalbox TO signalbox_reconciler;

-- Everybody reads, except what nobody but the api needs: hashes of passwords, digests of tokens.
GRANT SELECT ON ALL TABLES IN SCHEMA signalbox TO signalbox_api, signalbox_reconciler;
REVOKE ALL ON users, sessions, api_tokens FROM signalbox_reconciler;

-- The record is the reconciler's, users and tokens are the api's.
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA signalbox TO signalbox_reconciler;
GRANT USAGE ON SEQUENCE task_log_ids TO signalbox_reconciler;
REVOKE ALL ON users, sessions, api_tokens FROM signalbox_reconciler;
GRANT SELECT, INSERT, UPDATE, DELETE ON users, sessions, api_tokens TO signalbox_api;
REVOKE INSERT, UPDATE, DELETE ON signalbox_migrations FROM signalbox_reconciler;

-- The trail is nobody's: what writes it are functions, which run with the rights of their owner.
REVOKE INSERT, UPDATE, DELETE ON trail, trail_chain, trail_ends FROM signalbox_reconciler;
REVOKE ALL ON FUNCTION append_trail, chain_trail, cut_trail, trail_commands, trail_outcomes, trail_forgotten_host FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_trail TO signalbox_api, signalbox_reconciler;
GRANT EXECUTE ON FUNCTION chain_trail, cut_trail TO signalbox_reconciler;

DO $$
DECLARE
    name regclass;
BEGIN
    FOR name IN
        SELECT t.oid::regclass FROM pg_class AS t
        WHERE t.oid IN ('signalbox.tasks'::regclass, 'signalbox.task_logs'::regclass)
            OR t.oid IN (
                SELECT inhrelid FROM pg_inherits
                WHERE inhparent IN ('signalbox.tasks'::regclass, 'signalbox.task_logs'::regclass)
            )
            -- Partitions that were taken out, and are yet to be dropped.
            OR t.relnamespace = 'signalbox'::regnamespace AND t.relkind = 'r'
                AND t.relname ~ '^(completed|failed)_(tasks|task_logs)_[0-9]+$'
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO signalbox_reconciler', name);
        EXECUTE format('GRANT ALL ON %s TO signalbox_reconciler', name);
    END LOOP;
END
$$;
