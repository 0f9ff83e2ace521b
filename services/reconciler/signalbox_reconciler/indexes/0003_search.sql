-- needs extension pg_trgm
-- Parts of error texts and of arguments, of open and of finished tasks.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open_error ON tasks USING gin (error gin_trgm_ops)
    WHERE finished_at IS NULL AND error IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_finished_error ON tasks USING gin (error gin_trgm_ops)
    WHERE finished_at IS NOT NULL AND error IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_open_arguments
    ON tasks USING gin ((args || ' ' || kwargs) gin_trgm_ops)
    WHERE finished_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_finished_arguments
    ON tasks USING gin ((args || ' ' || kwargs) gin_trgm_ops)
    WHERE finished_at IS NOT NULL;
ANALYZE tasks;
