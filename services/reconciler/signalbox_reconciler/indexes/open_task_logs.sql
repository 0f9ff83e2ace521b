-- Of the runs of open tasks nearly all run. Without their status, so that the end of a run is a HOT update.
CREATE INDEX {leaf}_by_host ON {leaf} (host);
