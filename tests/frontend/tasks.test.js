/** What the page makes of one task. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { byAge, cancelProgress, cancelRefusal, matches, newer, spanOf } from "../../services/api/signalbox_api/dashboard/js/model/tasks.js";
import { at, task } from "./rows.js";

/** @type {import("../../services/api/signalbox_api/dashboard/js/types.js").User} */
const OPERATOR = { name: "ann", role: "operator" };
/** @type {import("../../services/api/signalbox_api/dashboard/js/types.js").User} */
const VIEWER = { name: "bob", role: "viewer" };
const REQUESTED = { cancel_requested_at: "2026-01-01T10:01:00Z" };

for (const [who, what, asked, seconds, expected] of /** @type {const} */ ([
  [OPERATOR, {}, false, 60, ""],
  [OPERATOR, {}, true, 60, "The cancel was sent; the answer is awaited."],
  [OPERATOR, { status: "completed" }, false, 60, "It is over: completed."],
  [OPERATOR, REQUESTED, false, 70, "A cancel is already under way."],
  [OPERATOR, REQUESTED, false, 75, ""],
  [OPERATOR, { ...REQUESTED, cancel_kill_at: "2026-01-01T10:01:05Z" }, false, 75, "A cancel is already under way."],
  [VIEWER, {}, false, 60, "Your role is viewer; cancelling takes an operator or an admin."],
  [VIEWER, { status: "failed" }, false, 60, "It is over: failed."],
])) {
  test(`cancel by ${who.role} of ${JSON.stringify(what)} after ${seconds} s: ${expected || "allowed"}`, () => {
    assert.equal(cancelRefusal(task("a", what), who, asked, at(seconds)), expected);
  });
}

for (const [what, seconds, expected] of /** @type {const} */ ([
  [{}, 0, "Cancelling…"],
  [{ cancel_signal: "TERM" }, 0, "Cancelling… TERM sent"],
  [{ cancel_signal: "TERM", cancel_kill_at: "2026-01-01T10:00:05Z" }, 0.5, "Cancelling… TERM, KILL in 5 s"],
  [{ cancel_signal: "TERM", cancel_kill_at: "2026-01-01T10:00:05Z" }, 5, "Cancelling… TERM, KILL is due"],
  [{ cancel_signal: "KILL" }, 0, "Cancelling… KILL sent, waiting for proof"],
])) {
  test(`${JSON.stringify(what)} at ${seconds} s reads "${expected}"`, () => assert.equal(cancelProgress(task("a", what), at(seconds)), expected));
}

for (const [filter, expected] of /** @type {const} */ ([
  [{ status: "", q: "" }, true],
  [{ status: "running", q: "" }, true],
  [{ status: "failed", q: "" }, false],
  [{ status: "", q: "CHARGE" }, true],
  [{ status: "", q: "shop.orders" }, true],
  [{ status: "", q: "id-4" }, true],
  [{ status: "", q: "refund" }, false],
])) {
  test(`the filter ${JSON.stringify(filter)} ${expected ? "shows" : "hides"} a running charge`, () => assert.equal(matches(task("id-47"), filter), expected));
}

for (const [shown, incoming, holds] of /** @type {const} */ ([
  [{ status: "running" }, { status: "completed" }, "incoming"],
  [{ status: "completed" }, { status: "running" }, "shown"],
  [{ status: "completed" }, { status: "running", attempt: 2 }, "incoming"],
  [{ status: "completed" }, { status: "running", started_at: "2026-01-01T10:00:11Z" }, "incoming"],
  [{ status: "failed", confirmed: false }, { status: "running" }, "incoming"],
])) {
  test(`of ${JSON.stringify(shown)} and then ${JSON.stringify(incoming)} the ${holds} holds`, () => {
    const [before, after] = [task("a", shown), task("a", incoming)];
    assert.equal(newer(before, after), holds === "shown" ? before : after);
  });
}

for (const [what, seconds, expected] of /** @type {const} */ ([
  [{ status: "pending" }, 7, 7000],
  [{}, 12, 2000],
  [{}, 5, 0],
  [{ status: "completed", finished_at: "2026-01-01T10:00:14Z" }, 60, 4000],
  [{ started_at: null }, 60, null],
])) {
  test(`${JSON.stringify(what)} has lasted ${expected} ms after ${seconds} s`, () => assert.equal(spanOf(task("a", what), at(seconds)), expected));
}

test("the list has the newest first, and of one moment the greater id", () => {
  const rows = [task("a"), task("b"), task("c", { created_at: "2026-01-01T10:00:01Z" })];
  assert.deepEqual(rows.sort(byAge).map((one) => one.task_id), ["c", "b", "a"]);
});
