/** What a stop, a start or a restart hits. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { fate, named, powerRefusal, targets } from "../../services/api/signalbox_api/dashboard/js/model/power.js";
import { initialState } from "../../services/api/signalbox_api/dashboard/js/model/state.js";
import { host, process, task } from "./rows.js";

/** @param {any[]} hosts @returns {any} */
const status = (hosts) => ({ celery: "running", worker: "running", beat: "running", hosts });

const RUNS = host("web-1", [process("worker", "running")]);
const STOPPED = host("web-1", [process("worker", "stopped")]);
const STANDBY = host("web-1", [process("beat", "stopped", { kind: "beat", standby: true })]);
const STANDBY_AWAY = { ...STANDBY, state: "offline" };
const GUEST = host("web-1", [process("celery", "running", { guest: true })]);
const GUEST_STOPPED = host("web-1", [process("celery", "stopped", { guest: true })]);
const UNCONFIGURED = host("web-1", [process("former", "running", { configured: false })]);
const RETRYING = host("web-1", [process("worker", "backoff")]);

for (const [what, one, stop, start, restart] of /** @type {const} */ ([
  ["a running worker", RUNS, true, false, true],
  ["a stopped worker", STOPPED, false, true, false],
  ["a worker that waits for its next try", RETRYING, true, true, true],
  ["a beat that stands by", STANDBY, true, false, false],
  ["a beat that stood by on a host that is away", STANDBY_AWAY, false, true, false],
  ["what is no longer configured", UNCONFIGURED, true, false, false],
  ["what others launched", GUEST, false, false, false],
  ["what others launched and ended", GUEST_STOPPED, false, false, false],
])) {
  for (const [action, hit] of /** @type {const} */ ([["stop", stop], ["start", start], ["restart", restart]])) {
    test(`${action} ${hit ? "hits" : "spares"} ${what}`, () => assert.equal(targets(status([one]), action).length, hit ? 1 : 0));
  }
}

test("hosts and processes are named in the order in which people count, beat last", () => {
  const processes = [process("beat", "running", { kind: "beat" }), ...["worker-10", "worker-9", "worker-1"].map((name) => process(name, "running"))];
  const hit = targets(status([host("web-10", processes), host("web-9", processes)]), "stop");
  assert.deepEqual(hit.map((one) => one.name), ["web-9", "web-10"]);
  assert.deepEqual(hit[0]?.processes.map((one) => one.name), ["worker-1", "worker-9", "worker-10", "beat"]);
});

for (const [scope, words] of /** @type {const} */ ([
  [{ host: "", process: "" }, "Celery"],
  [{ host: "web-1", process: "" }, "everything on web-1"],
  [{ host: "web-1", process: "beat" }, "beat on web-1"],
])) {
  test(`the scope ${JSON.stringify(scope)} reads "${words}"`, () => assert.equal(named(scope), words));
}

for (const [role, one, action, words] of /** @type {const} */ ([
  ["viewer", RUNS, "stop", "Your role is viewer; stopping takes an operator or an admin."],
  ["operator", RUNS, "stop", ""],
  ["operator", RUNS, "start", "Everything is started."],
  ["operator", STOPPED, "stop", "Nothing runs."],
])) {
  test(`${action} by ${role}: ${words || "allowed"}`, () => {
    const state = initialState({ view: "processes", id: "", filter: { status: "", q: "" } });
    const session = { ...state.session, user: { name: "ann", role } };
    assert.equal(powerRefusal({ ...state, session, status: status([one]) }, action, { host: "", process: "" }), words);
  });
}

for (const [names, more, mode, words] of /** @type {[string[], boolean, string, string][]} */ ([
  [[], false, "graceful", "No task runs there at this moment."],
  [["sync"], false, "immediate", "1 task running now: sync. It is killed and marked as failed."],
  [["sync"], false, "graceful", "1 task running now: sync. What does not finish in time is killed and marked as failed."],
  [["sync", "sync"], true, "immediate", "More than 2 tasks running now: sync (2). They are killed and marked as failed."],
  [
    ["report", "report", "sync", ..."abcdef"],
    false,
    "immediate",
    "9 tasks running now: report (2), sync, a, b, c and 3 more. They are killed and marked as failed.",
  ],
])) {
  test(`running ${names.join(", ") || "nothing"}: ${words}`, () => assert.equal(fate(names.map((name) => task(name, { name })), more, mode), words));
}
