/** What the task page says that happened. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { timelineOf } from "../../services/api/signalbox_api/dashboard/js/model/timeline.js";
import { task } from "./rows.js";

const ENDED = { status: "failed", outcome: "cancelled", finished_at: "2026-01-01T10:00:30Z" };
/** @param {number} attempt @param {object} more @returns {any} */
const log = (attempt, more) => ({ ...task("a"), log_id: attempt, attempt, ...more });

for (const [what, one, logs, expected] of /** @type {[string, any, any[], string[]][]} */ ([
  ["a task that waits", task("a", { status: "pending", started_at: null, queue: "orders" }), [], ["Created: queue orders"]],
  ["a task that runs", task("a", { host: "web-1", pid: 7 }), [], ["Created: ", "Started: web-1 · pid 7"]],
  [
    "a task that was cancelled",
    task("a", { ...ENDED, cancel_requested_at: "2026-01-01T10:00:20Z" }),
    [log(1, ENDED)],
    ["Created: ", "Started: ", "Cancel requested: ", "Failed: cancelled"],
  ],
  [
    "a task that left processes running",
    task("a", { status: "completed", outcome: "succeeded", finished_at: "2026-01-01T10:00:30Z", left_processes: 2 }),
    [],
    ["Created: ", "Started: ", "Completed: left 2 processes running"],
  ],
  [
    "a task of two attempts",
    task("a"),
    [log(2, { started_at: "2026-01-01T10:01:00Z" }), log(1, ENDED)],
    ["Created: ", "Attempt 1 started: ", "Attempt 1 failed: cancelled", "Attempt 2 started: "],
  ],
  [
    "a task whose id came again after its cancel",
    task("a", ENDED),
    [log(1, ENDED), log(2, { ...ENDED, started_at: null, finished_at: "2026-01-01T12:03:00Z", host: "web-1", worker: "w@web-1" })],
    ["Created: ", "Attempt 1 started: ", "Attempt 1 failed: cancelled", "Attempt 2 refused: web-1 · w@web-1"],
  ],
])) {
  test(`the timeline of ${what}`, () => assert.deepEqual(timelineOf(one, logs).map(({ title, detail }) => `${title}: ${detail}`), expected));
}
