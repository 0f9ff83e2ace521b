/**
 * What a stop, a start or a restart is about: everything, a host, or one process; what it hits, and why it may not be.
 * @module
 */

import { counted } from "../core/format.js";
import { DOWN } from "./overall.js";

/** @typedef {import("../types.js").CeleryStatus} CeleryStatus */
/** @typedef {import("../types.js").Host} Host */
/** @typedef {import("../types.js").Process} Process */
/** @typedef {import("../types.js").Task} Task */
/** @typedef {import("../types.js").Power} Power */
/** @typedef {import("../types.js").Scope} Scope */

/** @type {Scope} */
export const EVERYTHING = { host: "", process: "" };

const NAMED = 5;
const DOING = { stop: "stopping", start: "starting", restart: "restarting" };

/** Tells one command under way from another. @param {Power} action @param {Scope} scope */
export function powerKey(action, { host, process }) {
  return `${action} ${host}/${process}`;
}

/** The part of a request's body that names what is meant. @param {Scope} scope */
export function addressed({ host, process }) {
  return { ...(host && { hosts: [host] }), ...(process && { processes: [process] }) };
}

/** In a sentence: `Celery`, `everything on web-1`, `worker on web-1`. @param {Scope} scope */
export function named({ host, process }) {
  if (process) return `${process} on ${host}`;
  return host ? `everything on ${host}` : "Celery";
}

/**
 * What a command would hit, host by host.
 * @param {CeleryStatus | null} status
 * @param {Power} action
 * @param {Scope} [scope]
 * @returns {Host[]}
 */
export function targets(status, action, scope = EVERYTHING) {
  const within = (/** @type {Host} */ { name }) => !scope.host || name === scope.host;
  const hit = (/** @type {Process} */ process) => (!scope.process || process.name === scope.process) && concerns(action, process);
  return (status?.hosts ?? [])
    .filter(within)
    .map((host) => ({ ...host, processes: host.processes.filter(hit) }))
    .filter((host) => host.processes.length > 0);
}

/** @param {Power} action @param {Process} process */
function concerns(action, process) {
  const down = DOWN.includes(process.state);
  if (action !== "start") return !down;
  return (down && !process.standby) || process.state === "backoff";
}

/** Whether all of them have been told to stop already. @param {Host[]} hosts  As `targets` gives them. */
export function areStopping(hosts) {
  return hosts.length > 0 && hosts.every((host) => host.processes.every((process) => process.kill_at));
}

/**
 * Why a button does nothing at the moment; empty when it does.
 * @param {import("./state.js").State} state
 * @param {Power} action
 * @param {Scope} scope
 */
export function powerRefusal({ session, status, powering }, action, scope) {
  if (session.user?.role === "viewer") return `Your role is viewer; ${DOING[action]} takes an operator or an admin.`;
  if (action !== "stop" && powering.has(powerKey(action, scope))) return `A ${action} is under way.`;
  if (targets(status, action, scope).length > 0) return "";
  if (action === "start") return scope.process ? "It is started." : "Everything is started.";
  return scope.process ? "It does not run." : "Nothing runs.";
}

/**
 * Which running tasks a stop would hit.
 * @param {Task[]} tasks
 * @param {Host[]} hosts  As `targets` gives them.
 */
export function tasksOf(tasks, hosts) {
  const nodes = new Set(hosts.flatMap((host) => host.processes.map((process) => process.node)));
  return tasks.filter((task) => task.worker && nodes.has(task.worker));
}

/**
 * What becomes of the running tasks, in words.
 * @param {Task[]} tasks
 * @param {boolean} more  Whether there may be more than these.
 * @param {string} mode
 */
export function fate(tasks, more, mode) {
  if (tasks.length === 0 && !more) return "No task runs there at this moment.";
  const rest = tasks.length - NAMED;
  const names = tasks.map((task) => task.name);
  const list = rest > 0 ? `${names.slice(0, NAMED).join(", ")} and ${rest} more` : names.join(", ");
  const one = tasks.length === 1 && !more;
  const end = mode === "immediate" ? `${one ? "It is" : "They are"} killed and marked as failed.` : "What does not finish in time is killed and marked as failed.";
  return `${more ? "More than " : ""}${counted(tasks.length, "task")} running now: ${list}. ${end}`;
}
