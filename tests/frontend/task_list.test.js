/** How the list takes live changes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { appended, applied, hasMore, loadedList, settled } from "../../services/api/signalbox_api/dashboard/js/model/task_list.js";
import { at, task } from "./rows.js";

const ALL = /** @type {const} */ ({ status: "", q: "" });
const RUNNING = /** @type {const} */ ({ status: "running", q: "" });
const LATER = { created_at: "2026-01-01T10:00:05Z" };
const EARLIER = { created_at: "2026-01-01T09:00:00Z" };

/** @param {import("../../services/api/signalbox_api/dashboard/js/types.js").TaskList} list */
const shown = ({ rows, waiting, leaving }) => ({ rows: rows.map((one) => one.task_id), waiting: [...waiting.keys()], leaving: [...leaving.keys()] });

for (const [what, next, incoming, filter, held, expected] of /** @type {const} */ ([
  ["a new task comes in on top", null, task("b", LATER), ALL, false, { rows: ["b", "a"], waiting: [], leaving: [] }],
  ["a new task waits while rows are held", null, task("b", LATER), ALL, true, { rows: ["a"], waiting: ["b"], leaving: [] }],
  ["an older task comes in where no page follows", null, task("b", EARLIER), ALL, false, { rows: ["a", "b"], waiting: [], leaving: [] }],
  ["an older task belongs to the page that follows", "cursor", task("b", EARLIER), ALL, false, { rows: ["a"], waiting: [], leaving: [] }],
  ["a task that does not match stays out", null, task("b", { status: "failed" }), RUNNING, false, { rows: ["a"], waiting: [], leaving: [] }],
  ["a task that matches no more lingers", null, task("a", { status: "failed" }), RUNNING, false, { rows: ["a"], waiting: [], leaving: ["a"] }],
])) {
  test(what, () => assert.deepEqual(shown(applied(loadedList([task("a")], next), [incoming], { filter, held, now: at(0) })), expected));
}

for (const [held, seconds, rows] of /** @type {const} */ ([
  [false, 4.9, ["a"]],
  [false, 5, []],
  [true, 60, ["a"]],
])) {
  test(`a lingering row is ${rows.length ? "there" : "gone"} after ${seconds} s, rows ${held ? "" : "not "}held`, () => {
    const list = applied(loadedList([task("a")], null), [task("a", { status: "failed" })], { filter: RUNNING, held, now: at(0) });
    assert.deepEqual(shown(settled(list, { held, now: at(seconds) })).rows, rows);
  });
}

test("what waited comes in once nothing holds the rows", () => {
  const list = applied(loadedList([task("a")], null), [task("b", LATER)], { filter: ALL, held: true, now: at(0) });
  assert.deepEqual(shown(settled(list, { held: false, now: at(1) })), { rows: ["b", "a"], waiting: [], leaving: [] });
});

test("a page that follows brings no row twice", () => {
  const list = appended(loadedList([task("b"), task("a")], "cursor"), [task("a"), task("c", EARLIER)], null);
  assert.deepEqual(shown(list).rows, ["b", "a", "c"]);
  assert.equal(hasMore(list), false);
});

test("a storm of new tasks drops the tail, and the page offers to load it again", () => {
  const storm = Array.from({ length: 300 }, (_, number) => task(`new-${number}`, LATER));
  const list = applied(loadedList([task("a")], null), storm, { filter: ALL, held: false, now: at(0) });
  assert.equal(list.rows.length, 201);
  assert.equal(hasMore(list), true);
});
