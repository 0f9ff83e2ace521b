"""Indexes of each kind of partition, as SQL: one file for each kind, and one for those that need the extension pg_trgm.

`{leaf}` stands for the name of the partition. Those of a new partition are made with it, those of one that is in use
beside who writes; see signalbox_reconciler.partitions.indexes. An index that is added to a file is made by itself.
"""
