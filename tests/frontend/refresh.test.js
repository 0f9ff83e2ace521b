/** The state of the processes is that of the question that was asked last, in whatever order the answers come. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ProcessActions } from "../../services/api/signalbox_api/dashboard/js/actions/processes.js";

/** @param {any[]} shown @returns {{actions: ProcessActions, answers: ((answer: any) => void)[]}} */
function asking(shown) {
  /** @type {((answer: any) => void)[]} */
  const answers = [];
  const api = { get: () => new Promise((resolve, reject) => answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)))) };
  const store = { state: {}, update: (/** @type {any} */ patch) => shown.push(patch.status ?? patch.statusError) };
  return { actions: new ProcessActions(/** @type {any} */ (store), /** @type {any} */ (api), /** @type {any} */ (null)), answers };
}

for (const [what, early] of /** @type {[string, any][]} */ ([["answer", "early"], ["error", new Error("early")]])) {
  test(`an earlier ${what} that comes later is not shown`, async () => {
    const shown = /** @type {any[]} */ ([]);
    const { actions, answers } = asking(shown);
    const asked = [actions.refresh(), actions.refresh()];
    answers[1]?.("late");
    await asked[1];
    answers[0]?.(early);
    await asked[0];
    assert.deepEqual(shown, ["late"]);
  });
}

test("each answer is shown while later ones are awaited", async () => {
  const shown = /** @type {any[]} */ ([]);
  const { actions, answers } = asking(shown);
  const asked = [actions.refresh(), actions.refresh()];
  answers[0]?.("early");
  await asked[0];
  assert.deepEqual(shown, ["early"]);
});
