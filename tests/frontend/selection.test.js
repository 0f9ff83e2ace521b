/** Which rows are selected after what. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { allShown, cancelFilter, chosen, emptySelection, extended, isSelecting, toggled } from "../../services/api/signalbox_api/dashboard/js/model/selection.js";
import { task } from "./rows.js";

const ROWS = [task("a"), task("b"), task("over", { status: "failed" }), task("d"), task("e")];

/** @typedef {import("../../services/api/signalbox_api/dashboard/js/types.js").Selection} Selection */
/** @type {(id: string) => (selection: Selection) => Selection} */
const click = (id) => (selection) => toggled(selection, id);
/** @type {(id: string) => (selection: Selection) => Selection} */
const shift = (id) => (selection) => extended(selection, ROWS, id);
/** @type {(selection: Selection) => Selection} */
const every = (selection) => allShown(selection, ROWS);

for (const [what, steps, expected] of /** @type {[string, ((selection: Selection) => Selection)[], string[]][]} */ ([
  ["a click selects", [click("a")], ["a"]],
  ["a second click undoes it", [click("a"), click("a")], []],
  ["Shift selects the range without what is over", [click("b"), shift("e")], ["b", "d", "e"]],
  ["Shift selects upwards, too", [click("d"), shift("a")], ["a", "b", "d"]],
  ["Shift keeps what was selected before", [click("a"), click("d"), shift("e")], ["a", "d", "e"]],
  ["Shift without a first row selects one", [shift("b")], ["b"]],
  ["select all takes what is not over", [every], ["a", "b", "d", "e"]],
  ["select all a second time takes none", [every, every], []],
])) {
  test(what, () => {
    const selection = steps.reduce((so, step) => step(so), emptySelection());
    assert.deepEqual([...selection.ids].sort(), expected);
    assert.equal(isSelecting(selection), expected.length > 0);
  });
}

test("a selected task that ended meanwhile is not cancelled", () => {
  const selection = every(emptySelection());
  const rows = [task("a", { status: "completed" }), task("b")];
  assert.deepEqual(chosen(selection, rows).map((one) => one.task_id), ["b"]);
});

for (const [filter, expected] of /** @type {const} */ ([
  [{ status: "", q: "" }, null],
  [{ status: "failed", q: "pay" }, null],
  [{ status: "running", q: "" }, { status: "running" }],
  [{ status: "", q: "pay" }, { q: "pay" }],
  [{ status: "pending", q: "pay" }, { status: "pending", q: "pay" }],
])) {
  test(`all that match ${JSON.stringify(filter)} ${expected ? "can" : "cannot"} be cancelled`, () => assert.deepEqual(cancelFilter(filter), expected));
}
