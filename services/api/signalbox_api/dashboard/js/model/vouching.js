/**
 * Who vouches for what the page shows: which part is behind or away, since when, and what may be said all the same.
 * @module
 */

import { moment, time } from "../core/format.js";
import { celeryStatus } from "./overall.js";

/** @typedef {import("../types.js").Behind} Behind */
/** @typedef {import("../types.js").CeleryStatus} CeleryStatus */
/** @typedef {import("../types.js").Connection} Connection */

/**
 * The moment up to which the page knows anything, by the server's clock; null while somebody vouches for the present.
 * @param {Pick<Connection, "phase" | "asOf" | "behind">} connection
 * @param {number | null} news  When the last frame came, by the server's clock.
 */
export function knownUntil({ phase, asOf, behind }, news) {
  if (phase === "stopped" || (phase === "live" && behind.length === 0)) return null;
  const complete = behind.length > 0 ? moment(asOf) : null;
  return complete === null ? news : Math.min(complete, news ?? complete);
}

/**
 * The processes with no more said of them than somebody vouches for.
 * @template {CeleryStatus | null} S
 * @param {S} status
 * @param {boolean} vouched
 * @returns {S}
 */
export function vouchedStatus(status, vouched) {
  if (status === null || vouched) return status;
  const hosts = status.hosts.map((host) => ({
    ...host,
    state: "unknown",
    processes: host.processes.map((process) => ({ ...process, state: "unknown", last_state: lastState(process) })),
  }));
  return /** @type {S} */ ({ ...status, ...celeryStatus(hosts) });
}

/** How a process was last seen that may be otherwise by now. @param {{state: string, last_state?: string}} process */
export function lastState({ state, last_state: last }) {
  return state === "unknown" ? (last ?? state) : state;
}

/** Each part that is behind or away, in a sentence. @param {readonly Behind[]} behind */
export function sentences(behind) {
  return behind.map(({ message, since }) => `${message}${since ? ` (since ${time(since)})` : ""}.`).join(" ");
}
