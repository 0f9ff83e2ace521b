/** What the page asks for, and which of several versions of a task it shows. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseRoute } from "../../services/api/signalbox_api/dashboard/js/core/route.js";
import { subscriptionOf } from "../../services/api/signalbox_api/dashboard/js/model/subscription.js";
import { matches, newest } from "../../services/api/signalbox_api/dashboard/js/model/tasks.js";
import { task } from "./rows.js";

for (const [hash, tasks, id] of /** @type {const} */ ([
  ["#/tasks", {}, null],
  ["#/tasks?status=failed", { status: "failed" }, null],
  ["#/tasks?q=pay", { q: "pay" }, null],
  ["#/tasks/a%2Fb", null, "a/b"],
  ["#/processes", null, null],
])) {
  test(`${hash}: the page asks for the changes of what it shows, and always for those of processes`, () => {
    const route = parseRoute(hash);
    assert.deepEqual(subscriptionOf(route, route.filter), { tasks, task: id, processes: true });
  });
}

const OVER = task("a", { status: "completed", finished_at: "2026-01-01T10:00:20Z" });
const RUNS = task("a");

test("of all that came of a task while it was loaded the newest is shown, whichever came last", () => {
  assert.equal(newest(RUNS, [OVER, RUNS]), OVER);
  assert.equal(newest(null, [OVER, RUNS]), OVER);
  assert.equal(newest(RUNS, []), RUNS);
});

for (const [what, more] of /** @type {const} */ ([
  ["error", { error: "ValueError: Order-4711" }],
  ["arguments", { args: "('order-4711',)" }],
  ["keyword arguments", { kwargs: "{'id': 'order-4711'}" }],
])) {
  test(`a task that was found by its ${what} stays in the list when it changes`, () => {
    assert.ok(matches(task("a", more), { status: "", q: "ORDER-4711" }));
    assert.ok(!matches(task("a", more), { status: "", q: "order-4712" }));
  });
}
