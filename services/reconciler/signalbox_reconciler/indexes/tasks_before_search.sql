-- Parts of error texts and of arguments; under the names that they had.
CREATE INDEX tasks_open_error ON {leaf} USING gin (error gin_trgm_ops)
    WHERE finished_at IS NULL AND error IS NOT NULL;
CREATE INDEX tasks_finished_error ON {leaf} USING gin (error gin_trgm_ops)
    WHERE finished_at IS NOT NULL AND error IS NOT NULL;
CREATE INDEX tasks_open_arguments ON {leaf} USING gin ((args || ' ' || kwargs) gin_trgm_ops)
    WHERE finished_at IS NULL;
CREATE INDEX tasks_finished_arguments ON {leaf} USING gin ((args || ' ' || kwargs) gin_trgm_ops)
    WHERE finished_at IS NOT NULL;
