-- Parts of error texts and of arguments.
CREATE INDEX {leaf}_unfinished_error ON {leaf} USING gin (error gin_trgm_ops)
    WHERE finished_at IS NULL AND error IS NOT NULL;
CREATE INDEX {leaf}_unfinished_arguments ON {leaf} USING gin ((args || ' ' || kwargs) gin_trgm_ops)
    WHERE finished_at IS NULL;
