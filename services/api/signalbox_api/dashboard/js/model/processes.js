/**
 * The processes: how a live change alters what is shown, and what many of them amount to.
 * @module
 */

import { moment } from "../core/format.js";

/** @typedef {import("../types.js").CeleryStatus} CeleryStatus */
/** @typedef {import("../types.js").Host} Host */
/** @typedef {import("../types.js").Process} Process */
/** @typedef {import("../types.js").Change} Change */

/** The states of a process that is not there and will not come by itself. */
export const DOWN = ["stopped", "fatal"];

/**
 * Takes process and host rows. The three overall words follow at once; the server's own, which come a little later, win.
 * @param {CeleryStatus} status
 * @param {Change[]} changes
 * @returns {CeleryStatus}
 */
export function changedStatus(status, changes) {
  let hosts = status.hosts;
  for (const { kind, row } of changes) {
    if (kind === "process") hosts = withHost(hosts, row.host, (host) => ({ ...host, processes: withProcess(host.processes, row) }));
    if (kind === "host") hosts = withHost(hosts, row.name, (host) => ({ ...host, ...row, processes: row.processes ?? host.processes }));
  }
  return { ...status, ...overallWords(hosts), hosts };
}

/** The three words, as `signalbox_api/status.py` finds them. @param {Host[]} hosts */
export function overallWords(hosts) {
  const none = hosts.some((host) => host.state === "online") ? "stopped" : "unknown";
  const seen = hosts.flatMap((host) => host.processes.map((process) => ({ ...process, state: host.state === "online" ? process.state : "unknown" })));
  const active = seen.filter((process) => !process.standby);
  const counting = active.some(({ kind }) => kind === "beat") ? active : seen;
  const of = (/** @type {string} */ kind) => overall(counting.filter((process) => !kind || process.kind === kind), none);
  return { celery: of(""), worker: of("worker"), beat: of("beat") };
}

/** One word for a host. @param {Host} host */
export function hostWord(host) {
  if (host.state !== "online") return "unknown";
  const active = host.processes.filter((process) => !process.standby);
  return overall(active.length > 0 ? active : host.processes, "stopped");
}

/**
 * One word for several: all run, none does, some do, nobody knows; `none` where there are none.
 * @param {Process[]} processes
 * @param {string} none
 */
function overall(processes, none) {
  const all = (/** @type {string[]} */ ...states) => processes.every(({ state }) => states.includes(state));
  if (processes.length === 0) return none;
  if (all("running")) return "running";
  if (all(...DOWN)) return "stopped";
  return all("unknown", ...DOWN) ? "unknown" : "degraded";
}

/**
 * How many seconds the record lies behind, as far as can be told. It is as young as its last change or the last sign of
 * life that it took from a host; where no host is online nothing is to be told, and silence means nothing.
 * @param {number | null} lastChange  Seconds since the last change, or null when there was none yet.
 * @param {CeleryStatus | null} status
 * @param {number} now
 */
export function recordLag(lastChange, status, now) {
  const online = (status?.hosts ?? []).filter((host) => host.state === "online");
  if (online.length === 0) return 0;
  const seen = Math.max(...online.map((host) => moment(host.seen_at) ?? 0));
  return Math.max(0, Math.min(lastChange ?? Infinity, (now - seen) / 1000));
}

/**
 * How a state looks: `good`, `busy` (on its way), `bad` (not as wanted), `off` (as wanted), `unsure`.
 * @param {{state: string, desired?: string | null}} process
 */
export function toneOf({ state, desired }) {
  if (state === "running") return "good";
  if (["starting", "draining", "stopping", "backoff", "degraded"].includes(state)) return "busy";
  if (state === "fatal") return "bad";
  if (state === "stopped") return desired === "stopped" ? "off" : "bad";
  return "unsure";
}

/**
 * @param {Host[]} hosts
 * @param {string} name
 * @param {(host: Host) => Host} change
 */
function withHost(hosts, name, change) {
  if (!hosts.some((host) => host.name === name)) {
    hosts = [...hosts, { name, state: "unknown", seen_at: null, processes: [] }];
  }
  return hosts.map((host) => (host.name === name ? change(host) : host));
}

/** @param {Process[]} processes @param {Process} row */
function withProcess(processes, row) {
  const known = processes.some((process) => process.name === row.name);
  return known ? processes.map((process) => (process.name === row.name ? { ...process, ...row } : process)) : [...processes, row];
}
