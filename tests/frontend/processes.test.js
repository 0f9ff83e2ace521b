/** What the processes amount to, and how a state looks. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { celeryStatus } from "../../services/api/signalbox_api/dashboard/js/model/overall.js";
import { changedStatus, toneOf } from "../../services/api/signalbox_api/dashboard/js/model/processes.js";
import { host, process } from "./rows.js";

const BEAT = process("beat", "running", { kind: "beat" });

for (const [what, hosts, celery, worker, beat] of /** @type {[string, any[], string, string, string][]} */ ([
  ["nothing is known", [], "unknown", "unknown", "unknown"],
  ["a host has nothing to run", [host("a", [])], "stopped", "stopped", "stopped"],
  ["all run", [host("a", [process("w", "running"), BEAT])], "running", "running", "running"],
  ["the worker is stopped", [host("a", [process("w", "stopped"), BEAT])], "degraded", "stopped", "running"],
  ["all are stopped or fatal", [host("a", [process("v", "stopped"), process("w", "fatal")])], "stopped", "stopped", "stopped"],
  ["the host is offline", [host("a", [process("w", "running"), BEAT], "offline")], "unknown", "unknown", "unknown"],
])) {
  test(`the words when ${what}`, () => {
    const status = celeryStatus(hosts);
    assert.deepEqual([status.celery, status.worker, status.beat], [celery, worker, beat]);
  });
}

for (const [state, desired, tone] of /** @type {const} */ ([
  ["running", "running", "good"],
  ["starting", "running", "busy"],
  ["backoff", "running", "busy"],
  ["fatal", "running", "bad"],
  ["stopped", "running", "bad"],
  ["stopped", "stopped", "off"],
  ["unknown", "running", "unsure"],
])) {
  test(`${state}, wanted ${desired}, looks ${tone}`, () => assert.equal(toneOf({ state, desired }), tone));
}

for (const [what, change, words] of /** @type {[string, any, string[]][]} */ ([
  ["a process stops", { kind: "process", key: "a/w", row: { host: "a", ...process("w", "stopped") } }, ["w stopped"]],
  ["a process is new", { kind: "process", key: "a/x", row: { host: "a", ...process("x", "starting") } }, ["w running", "x starting"]],
  ["a host goes", { kind: "host", key: "a", row: { name: "a", state: "unknown" } }, ["w unknown"]],
  ["a process is removed", { kind: "process", key: "a/w", row: null }, []],
  ["a row that is no more was not there", { kind: "process", key: "b/w", row: null }, ["w running"]],
])) {
  test(`a live change shows at once: ${what}`, () => {
    const { hosts } = changedStatus(celeryStatus([host("a", [process("w", "running")])]), [change]);
    assert.deepEqual(hosts[0]?.processes.map(({ name, state }) => `${name} ${state}`), words);
  });
}

test("a host that is forgotten leaves the list at once, and what counts is what is left", () => {
  const before = celeryStatus([host("a", [process("w", "running")]), host("pod", [process("w", "running")], "unknown")]);
  const after = changedStatus(before, [{ kind: "host", key: "pod", row: { name: "pod", state: "gone" } }]);
  assert.deepEqual([before.celery, after.celery, after.hosts.map(({ name }) => name)], ["degraded", "running", ["a"]]);
});
