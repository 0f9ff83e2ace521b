-- Replaced by indexes of the tasks that have not finished.
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_newest;
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_by_name;
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_by_host;
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_by_queue;
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_by_celery_name;
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_by_round;
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_error;
DROP INDEX CONCURRENTLY IF EXISTS open_tasks_arguments;
