-- Numbers of the tasks that were there before they were kept.
SELECT recount_tasks();
