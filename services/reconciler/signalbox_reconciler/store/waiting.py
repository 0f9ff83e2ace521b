"""Waiting tasks: asked about in rounds, seen or not seen by the hosts, and discarded when two rounds agree.

All times are those of rounds, by the clock of PostgreSQL: clocks of hosts play no part.
"""

from collections.abc import Collection

from signalbox.bus.waiting import Question, WaitingTask
from signalbox.messages.events import WaitingCompared
from signalbox.postgres.pool import Connection
from signalbox_reconciler.store import views
from signalbox_reconciler.store.runs import show_added

#: Tasks in one round.
TASKS = 2_000
#: Seconds between two rounds.
EVERY = 2.0
#: Seconds after which a task is asked about anew: one that somebody saw, and one that nobody saw in the last round.
AGAIN, SOON = 20.0, 4.0
#: Seconds that the hosts have to answer; a task that nobody saw by then is not confirmed any more.
ANSWER_WITHIN = 15.0
#: Seconds for which a round can be completed.
KEPT = 120.0

#: The error of a discarded task.
DISCARDED = "It is no longer in its queue, and no worker holds it: purged, expired or lost by the broker"

#: As the index of the rounds has it.
_WAITS = "status = 'pending' AND finished_at IS NULL"

_BEGIN = f"""
INSERT INTO waiting_rounds (asked_at) SELECT now()
WHERE pg_try_advisory_xact_lock(hashtext('signalbox waiting'))
    AND NOT EXISTS (SELECT FROM waiting_rounds WHERE asked_at > now() - make_interval(secs => $1))
    AND EXISTS (
        SELECT FROM open_tasks
        WHERE {_WAITS} AND host IS NOT NULL AND asked_at < now() - make_interval(secs => $2)
    )
RETURNING asked_at
"""  # noqa: S608

_ASK = f"""
WITH due AS (
    SELECT task_id FROM open_tasks
    WHERE {_WAITS} AND host IS NOT NULL AND asked_at < now() - make_interval(secs => $1)
        AND (absent_since > vouched_at OR asked_at < now() - make_interval(secs => $2))
    ORDER BY asked_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE open_tasks AS t SET asked_at = now() FROM due WHERE t.task_id = due.task_id
RETURNING t.task_id, t.host, COALESCE(t.worker, '') AS worker, t.queue, t.phase = 3 AND t.error IS NOT NULL AS retried
"""  # noqa: S608

_ANSWERED = """
INSERT INTO waiting_answers (asked_at, host) SELECT $1, $2
WHERE EXISTS (SELECT FROM waiting_rounds WHERE asked_at = $1) ON CONFLICT DO NOTHING
"""

#: Rows are locked in the order of their ids, as everywhere.
_LISTED = """listed AS (
    SELECT task_id FROM open_tasks WHERE task_id = ANY($1::text[]) AND status = 'pending' ORDER BY task_id FOR UPDATE
)"""
_VOUCH = f"""
WITH {_LISTED}
UPDATE open_tasks AS t SET vouched_at = $2 FROM listed AS l WHERE t.task_id = l.task_id AND t.vouched_at < $2
"""  # noqa: S608 - names of our own columns
_CONFIRM = f"""
UPDATE open_tasks AS t SET confirmed = true, doubted = false, updated_at = now()
WHERE task_id = ANY($1::text[]) AND status = 'pending' AND doubted AND vouched_at <= $2
RETURNING {views.columns("task", "t.")}
"""  # noqa: S608
_MISS = f"""
WITH {_LISTED}
UPDATE open_tasks AS t SET absent_at = $2 FROM listed AS l
WHERE t.task_id = l.task_id AND t.host = $3 AND (t.absent_at IS NULL OR t.absent_at < $2)
"""  # noqa: S608

#: Tasks that nobody saw in a complete round, their latest. Complete: every host that is there has answered, and no
#: other may have a worker that runs, as silence proves nothing.
_MISSED = f"""missed AS (
    SELECT t.task_id, r.asked_at, t.absent_since > t.vouched_at AND t.absent_since < r.asked_at AS again
    FROM waiting_rounds AS r JOIN open_tasks AS t ON t.asked_at = r.asked_at AND {_WAITS}
    WHERE t.absent_at = r.asked_at AND t.vouched_at < r.asked_at AND NOT EXISTS (
        SELECT FROM hosts AS h WHERE h.state = 'online' AND NOT EXISTS (
            SELECT FROM waiting_answers AS a WHERE a.asked_at = r.asked_at AND a.host = h.name
        )
    ) AND NOT EXISTS (
        SELECT FROM processes AS p LEFT JOIN hosts AS h ON h.name = p.host
        WHERE p.kind = 'worker' AND p.state NOT IN ('stopped', 'fatal') AND h.state IS DISTINCT FROM 'online'
    )
    ORDER BY t.task_id FOR UPDATE OF t SKIP LOCKED
)"""  # noqa: S608
#: A discarded delivery is a log of its own: that of the one that waited in a worker, or that of the message which the
#: last run has put into the queue.
_DISCARD = f"""
WITH {_MISSED}, discarded AS (
    SELECT t.task_id, t.confirmed OR t.doubted AS confirmed, t.host, t.worker, m.asked_at,
        CASE WHEN t.phase = 3 THEN NULL ELSE t.run END AS delivery,
        CASE WHEN t.phase = 3 AND t.error IS NOT NULL THEN t.retries + 1 ELSE t.retries END AS retries,
        (EXTRACT(EPOCH FROM m.asked_at) * 1000000)::bigint AS microseconds
    FROM missed AS m JOIN open_tasks AS t USING (task_id) WHERE m.again
), keyed AS (
    SELECT *, COALESCE(delivery, format('%s.%s', lpad(retries::text, GREATEST(4, length(retries::text)), '0'),
        lpad((microseconds / 1000)::text, 13, '0'))) AS run
    FROM discarded
)
INSERT INTO open_task_logs AS l (task_id, run, delivery, attempt, phase, confirmed, precedence, status, outcome, error,
    retries, host, worker, finished_at)
SELECT task_id, run, run, retries + 1, 4, confirmed, -microseconds, 'failed', 'discarded', $1,
    retries, host, worker, asked_at
FROM keyed
ON CONFLICT (task_id, run) DO NOTHING
RETURNING {views.columns("log", "l.")}, l.delivery
"""  # noqa: S608
_SUSPECT = f"""
WITH {_MISSED}
UPDATE open_tasks AS t SET absent_since = m.asked_at FROM missed AS m
WHERE t.task_id = m.task_id AND (t.absent_since IS NULL OR t.absent_since <= t.vouched_at)
"""  # noqa: S608

_DOUBT = f"""
WITH doubted AS (
    SELECT t.task_id FROM waiting_rounds AS r JOIN open_tasks AS t ON t.asked_at = r.asked_at AND {_WAITS}
    WHERE r.asked_at < now() - make_interval(secs => $1) AND t.vouched_at < r.asked_at AND t.confirmed
    ORDER BY t.task_id FOR UPDATE OF t SKIP LOCKED
)
UPDATE open_tasks AS t SET confirmed = false, doubted = true, updated_at = now()
FROM doubted AS d WHERE t.task_id = d.task_id
RETURNING {views.columns("task", "t.")}
"""  # noqa: S608


async def begin_round(connection: Connection) -> Question | None:
    """Choose the tasks of a new round; None when one has just begun, or nothing is due."""
    asked_at = await connection.fetchval(_BEGIN, EVERY, SOON)
    if asked_at is None:
        return None
    rows = await connection.fetch(_ASK, SOON, AGAIN, TASKS)
    return Question(asked_at=asked_at, tasks=tuple(WaitingTask(**row) for row in rows)) if rows else None


async def apply_comparisons(
    connection: Connection, answers: Collection[WaitingCompared], changed: views.ChangedViews
) -> None:
    """Note what hosts saw in a round, and what they missed."""
    for answer in answers:
        await connection.execute(_ANSWERED, answer.asked_at, answer.host)
        if answer.seen:
            seen = sorted(answer.seen)
            await connection.execute(_VOUCH, seen, answer.asked_at)
            changed.add("task", await connection.fetch(_CONFIRM, seen, answer.asked_at))
        if answer.absent:
            await connection.execute(_MISS, sorted(answer.absent), answer.asked_at, answer.host)


async def judge_rounds(connection: Connection, changed: views.ChangedViews) -> None:
    """Discard what two complete rounds have missed; mark as not confirmed what nobody vouches for."""
    await _discard(connection, changed)
    await connection.execute(_SUSPECT)
    changed.add("task", await connection.fetch(_DOUBT, ANSWER_WITHIN))
    await connection.execute("DELETE FROM waiting_rounds WHERE asked_at < now() - make_interval(secs => $1)", KEPT)
    await connection.execute("DELETE FROM waiting_answers WHERE asked_at < now() - make_interval(secs => $1)", KEPT)


async def _discard(connection: Connection, changed: views.ChangedViews) -> None:
    await show_added(connection, await connection.fetch(_DISCARD, DISCARDED), changed)
