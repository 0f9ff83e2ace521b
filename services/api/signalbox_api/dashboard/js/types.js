/**
 * The shapes that the api speaks, and those the page keeps. Types only; nothing here runs.
 * @module
 */

/**
 * @typedef {"pending" | "running" | "completed" | "failed"} Status
 * @typedef {"viewer" | "operator" | "admin"} Role
 *
 * @typedef {object} Task
 * @property {string} task_id  Of a long id its beginning and a digest.
 * @property {string | null} [full_id]  The whole id, where `task_id` is not that.
 * @property {string} name
 * @property {string} [celery_name]
 * @property {Status} status
 * @property {string | null} outcome
 * @property {boolean} confirmed  False when the status was inferred and nobody saw it.
 * @property {string | null} error
 * @property {string | null} queue
 * @property {string | null} host
 * @property {string | null} worker
 * @property {number | null} pid
 * @property {number | null} attempt
 * @property {string | null} created_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {number | null} runtime  Seconds.
 * @property {string | null} cancel_requested_at
 * @property {string | null} [cancel_signal]  The last signal that was sent: TERM or KILL.
 * @property {string | null} [cancel_kill_at]  When KILL follows TERM.
 * @property {string | null} [proof]  What proves that nothing of a cancelled task is left: `cgroup` or `search`.
 * @property {number} [left_processes]  How many processes it has left running.
 * @property {unknown} args
 * @property {unknown} kwargs
 * @property {string | null} [vouched_at]  While it waits: when somebody saw it do so last.
 *
 * @typedef {object} Log  One attempt of a task.
 * @property {string | number} log_id
 * @property {string} task_id
 * @property {number | null} attempt
 * @property {Status} status
 * @property {string | null} [outcome]
 * @property {boolean} [confirmed]
 * @property {string | null} error
 * @property {string | null} traceback
 * @property {string | null} host
 * @property {string | null} worker
 * @property {number | null} pid
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {number} [left_processes]  How many processes it has left running.
 *
 * @typedef {object} Process
 * @property {string} name
 * @property {string} kind
 * @property {string} state
 * @property {string | null} desired
 * @property {number | null} pid
 * @property {string | null} since
 * @property {string | null} [message]
 * @property {string} [node]  Celery's name for a worker; a task's `worker`.
 * @property {string | null} [kill_at]  While it is being stopped: when it will be killed.
 * @property {boolean} [standby]  A beat that does not run because another host's does.
 * @property {boolean} [guest]  Launched by somebody else, who alone can stop and start it.
 * @property {string[]} [queues]  Those that a worker consumes, by its own report.
 * @property {boolean} [configured]  False: the configuration of its host does not name it; it can be stopped, not started.
 * @property {string} [outdated]  The keys whose values in the configuration are not those that it runs with.
 * @property {string} [last_state]  How it was last seen, where `state` is unknown.
 * @property {string | null} [confirmed_at]  When its host last reported it.
 *
 * @typedef {"stop" | "start" | "restart"} Power
 *
 * @typedef {object} Scope  What a command is about; empty: all of them.
 * @property {string} host
 * @property {string} process
 *
 * @typedef {object} Host
 * @property {string} name
 * @property {string} state
 * @property {string | null} seen_at
 * @property {string | null} [proof]  What proves there that nothing of a task is left: `cgroup` or `search`.
 * @property {string} [proof_detail]  Why it is that.
 * @property {number | null} [clock_ahead]  Seconds by which its clock is ahead, 0 where that is tolerated.
 * @property {string} celery  Whether Celery runs there: one word for its processes.
 * @property {Process[]} processes
 *
 * @typedef {object} CeleryStatus
 * @property {string} celery
 * @property {string} worker
 * @property {string} beat
 * @property {Host[]} hosts
 *
 * @typedef {object} Behind  A part that is behind or away.
 * @property {string} part
 * @property {string | null} since
 * @property {string} message  Without a full stop.
 *
 * @typedef {object} Change
 * @property {"task" | "log" | "process" | "host" | "command"} kind
 * @property {string} key
 * @property {any} row  The same JSON as the REST views give.
 *
 * @typedef {object} User
 * @property {string} name
 * @property {Role} role
 *
 * @typedef {object} Filter
 * @property {Status | ""} status
 * @property {string} q
 *
 * @typedef {object} Route
 * @property {"tasks" | "task" | "processes"} view
 * @property {string} id  The task's, on the task page.
 * @property {Filter} filter
 *
 * @typedef {object} TaskList
 * @property {Task[]} rows  As shown, newest first.
 * @property {Map<string, Task>} waiting  New ones that are held back, so that rows do not jump.
 * @property {Map<string, number>} leaving  Ids that match the filter no more, and when that was (ms).
 * @property {string | null} next  The cursor of the page that follows.
 * @property {number} cap  How many rows are kept at most.
 * @property {boolean} trimmed  Whether the tail was dropped, so that `next` no longer joins on.
 *
 * @typedef {object} Selection
 * @property {ReadonlySet<string>} ids  Of rows that are shown.
 * @property {string} anchor  The row that was chosen last, where a range begins.
 * @property {{matched: number, running: number, sample: Task[], filter: object} | null} matching  All that matched the filter when it was counted.
 *
 * @typedef {object} Bulk  A cancel of many tasks.
 * @property {"going" | "done" | "failed"} phase
 * @property {number} done
 * @property {number} total
 * @property {{message: string, tasks: {task_id: string, name: string, outcome: string, message: string}[]} | null} answer
 * @property {string} error  Why it failed, in words.
 *
 * @typedef {object} Connection
 * @property {"connecting" | "live" | "waiting" | "stopped"} phase
 * @property {number | null} retryAt  When the next try comes (ms of this machine's clock).
 * @property {string | null} asOf  Up to when the record is complete; null: nobody has said so yet.
 * @property {readonly Behind[]} behind  While there are any, nobody vouches for what the page shows.
 * @property {boolean} bus  Whether the server receives changes from Redis.
 * @property {string} why  What ended the last connection.
 * @property {number} leftOut  Changes that are not shown, as the page cannot keep up.
 *
 * @typedef {object} Subscription  What the live connection sends the changes of.
 * @property {Partial<Filter> | null} tasks
 * @property {string | null} task  The id of the task whose page is shown.
 * @property {boolean} processes
 *
 * @typedef {object} Offer  What a person may do about it.
 * @property {string} words
 * @property {() => void} act
 */

/**
 * @typedef {object} Toast
 * @property {number} id
 * @property {"good" | "bad" | "plain"} kind
 * @property {string} text
 * @property {Offer | null} offer
 */

export {};
