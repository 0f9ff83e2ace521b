/**
 * The processes: how a live change alters what is shown, and how a state looks.
 * @module
 */

import { celeryStatus } from "./overall.js";

/** @typedef {import("../types.js").CeleryStatus} CeleryStatus */
/** @typedef {import("../types.js").Host} Host */
/** @typedef {import("../types.js").Process} Process */
/** @typedef {import("../types.js").Change} Change */

const NAMES = new Intl.Collator("en", { numeric: true });

/**
 * Takes process and host rows. What all of them amount to follows at once.
 * @param {CeleryStatus} status
 * @param {Change[]} changes
 * @returns {CeleryStatus}
 */
export function changedStatus(status, changes) {
  let hosts = status.hosts;
  for (const { kind, key, row } of changes) {
    if (row === null) hosts = withoutProcess(hosts, key);
    else if (kind === "host" && row.state === "gone") hosts = hosts.filter((host) => host.name !== row.name);
    else if (kind === "process") hosts = withHost(hosts, row.host, (host) => ({ ...host, processes: withProcess(host.processes, row) }));
    else if (kind === "host") hosts = withHost(hosts, row.name, (host) => ({ ...host, ...row, processes: row.processes ?? host.processes }));
  }
  return celeryStatus(hosts);
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
 * Whether it waits for another host's beat to end. What a host that is not there said of itself holds no longer.
 * @param {Process} process
 * @param {Host} host
 */
export function standsBy({ standby, state }, host) {
  return Boolean(standby) && state === "stopped" && host.state === "online";
}

/**
 * Workers before beat, and as people count: worker-2 before worker-10.
 * @template {{name: string, kind?: string}} T
 * @param {T[]} named  Hosts, or the processes of one.
 * @returns {T[]}
 */
export function inOrder(named) {
  const last = (/** @type {T} */ { kind }) => Number(kind === "beat");
  return [...named].sort((one, other) => last(one) - last(other) || NAMES.compare(one.name, other.name));
}

/**
 * @param {Host[]} hosts
 * @param {string} name
 * @param {(host: Host) => Host} change
 */
function withHost(hosts, name, change) {
  if (!hosts.some((host) => host.name === name)) {
    hosts = [...hosts, { name, state: "unknown", seen_at: null, celery: "unknown", processes: [] }];
  }
  return hosts.map((host) => (host.name === name ? change(host) : host));
}

/** @param {Host[]} hosts @param {string} key  `host/process`. */
function withoutProcess(hosts, key) {
  return hosts.map((host) => ({ ...host, processes: host.processes.filter((process) => `${host.name}/${process.name}` !== key) }));
}

/** @param {Process[]} processes @param {Process} row */
function withProcess(processes, row) {
  const known = processes.some((process) => process.name === row.name);
  return known ? processes.map((process) => (process.name === row.name ? { ...process, ...row, last_state: row.state } : process)) : [...processes, row];
}
