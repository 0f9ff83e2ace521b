/** What the page says while nobody vouches for what it shows. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { celeryStatus } from "../../services/api/signalbox_api/dashboard/js/model/overall.js";
import { changedStatus } from "../../services/api/signalbox_api/dashboard/js/model/processes.js";
import { knownUntil, lastState, sentences, vouchedStatus } from "../../services/api/signalbox_api/dashboard/js/model/vouching.js";
import { at, host, process } from "./rows.js";

const AWAY = { part: "reconciler", since: "2026-01-01T10:00:05Z", message: "The reconciler is away" };
const AS_OF = "2026-01-01T10:00:05Z";

for (const [what, connection, news, until] of /** @type {[string, any, number | null, number | null][]} */ ([
  ["somebody vouches for it", { phase: "live", asOf: AS_OF, behind: [] }, at(20), null],
  ["nobody is signed in", { phase: "stopped", asOf: null, behind: [] }, at(20), null],
  ["the reconciler is away", { phase: "live", asOf: AS_OF, behind: [AWAY] }, at(20), at(5)],
  ["nobody has ever vouched", { phase: "live", asOf: null, behind: [AWAY] }, at(20), at(20)],
  ["the connection is cut", { phase: "waiting", asOf: AS_OF, behind: [] }, at(20), at(20)],
  ["the connection is cut after the reconciler went", { phase: "waiting", asOf: AS_OF, behind: [AWAY] }, at(20), at(5)],
  ["the page has just been opened", { phase: "connecting", asOf: null, behind: [] }, null, null],
])) {
  test(`durations stop where the page knows no more: ${what}`, () => assert.equal(knownUntil(connection, news), until));
}

test("while nobody vouches nothing is green, and each process says how it was last seen", () => {
  const status = vouchedStatus(celeryStatus([host("a", [process("w", "running"), process("v", "stopped")])]), false);
  assert.deepEqual([status.celery, status.worker, status.beat, status.hosts[0]?.celery], Array(4).fill("unknown"));
  assert.deepEqual(status.hosts[0]?.processes.map((one) => [one.state, lastState(one)]), [["unknown", "running"], ["unknown", "stopped"]]);
});

test("a change that comes late is shown as how it was last seen", () => {
  const change = { kind: "process", key: "a/w", row: { host: "a", ...process("w", "stopped") } };
  const before = celeryStatus([host("a", [process("w", "running", { last_state: "running" })])]);
  const status = vouchedStatus(changedStatus(before, [/** @type {any} */ (change)]), false);
  assert.deepEqual(status.hosts[0]?.processes.map((one) => [one.state, lastState(one)]), [["unknown", "stopped"]]);
});

test("while somebody vouches the status is what it is", () => {
  const status = celeryStatus([host("a", [process("w", "running")])]);
  assert.equal(vouchedStatus(status, true), status);
  assert.equal(vouchedStatus(null, false), null);
});

test("each part that is away is a sentence with the time since when", () => {
  assert.match(sentences([AWAY, { part: "redis", since: null, message: "Redis is away" }]), /^The reconciler is away \(since .*\d\d:\d\d:05\)\. Redis is away\.$/);
  assert.equal(sentences([]), "");
});
