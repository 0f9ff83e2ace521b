-- Parts of error texts and of arguments.
CREATE INDEX {leaf}_error ON {leaf} USING gin (error gin_trgm_ops) WHERE error IS NOT NULL;
CREATE INDEX {leaf}_arguments ON {leaf} USING gin ((args || ' ' || kwargs) gin_trgm_ops);
