/** What the page takes over of changes that come together. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Feed } from "../../services/api/signalbox_api/dashboard/js/core/feed.js";
import { applied, emptyList, settled } from "../../services/api/signalbox_api/dashboard/js/model/task_list.js";
import { newerChange } from "../../services/api/signalbox_api/dashboard/js/model/tasks.js";
import { at, task } from "./rows.js";

const RUNS = task("a", { confirmed: false });
const OVER = task("a", { status: "completed", finished_at: "2026-01-01T10:00:20Z" });
const RETRIED = task("a", { attempt: 2, started_at: "2026-01-01T10:00:30Z" });
const FILTER = /** @type {const} */ ({ status: "", q: "" });

/** @param {any[]} rows @returns {any[]} */
function delivered(rows) {
  /** @type {any[]} */
  let got = [];
  Object.assign(globalThis, { document: { visibilityState: "visible" }, requestAnimationFrame: () => 0 });
  const feed = new Feed((changes) => {
    got = changes.map((change) => change.row);
  }, newerChange);
  for (const row of rows) feed.push([{ kind: "task", key: row.task_id, row }]);
  feed.flush();
  return got;
}

for (const [what, rows, expected] of /** @type {const} */ ([
  ["a task that ends", [RUNS, OVER], OVER],
  ["older news after an end", [OVER, RUNS], OVER],
  ["a task that runs again", [OVER, RETRIED], RETRIED],
])) {
  test(`${what}: of what comes within a frame the newer one is shown`, () => {
    assert.deepEqual(delivered([...rows]), [expected]);
  });

  test(`${what}: of what waits while rows are held the newer one is shown`, () => {
    const how = { filter: FILTER, held: true, now: at(30) };
    const list = rows.reduce((before, row) => applied(before, [row], how), emptyList());
    assert.deepEqual(settled(list, { held: false, now: at(31) }).rows, [expected]);
  });
}
