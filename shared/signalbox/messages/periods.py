"""Periods: the numbers of the partitions of tasks and their logs in the record, by which a query leaves most unread.

Completed tasks lie in periods above `BEFORE`, failed ones in negative ones. While a record is migrated that was there
before there were periods, all of its tasks lie in `BEFORE`.
"""

#: Of open tasks, the only ones that change.
OPEN = 0
#: Of tasks of any status that were recorded before there were periods.
BEFORE = 1
