/**
 * What a stop, a start or a restart is about: everything, a host, or one process; what it hits, and why it may not be.
 * @module
 */

import { counted } from "../core/format.js";
import { DOWN } from "./overall.js";
import { inOrder, standsBy } from "./processes.js";
import { roleRefusal } from "./roles.js";

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
  const meant = (/** @type {Process} */ { name }) => !scope.process || name === scope.process;
  const hit = (/** @type {Host} */ host) => host.processes.filter((process) => meant(process) && concerns(action, process, host));
  return inOrder(status?.hosts ?? [])
    .filter(within)
    .map((host) => ({ ...host, processes: inOrder(hit(host)) }))
    .filter((host) => host.processes.length > 0);
}

/** What others launched is theirs to stop and start; what is not configured can only be stopped. @param {Power} action @param {Process} process @param {Host} host */
function concerns(action, process, host) {
  if (process.guest || (process.configured === false && action !== "stop")) return false;
  const [down, standby] = [DOWN.includes(process.state), standsBy(process, host)];
  if (action === "start") return (down && !standby) || process.state === "backoff";
  return !down || (action === "stop" && standby);
}

/** Whether a stop of all of them is under way already. @param {Host[]} hosts  As `targets` gives them. */
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
  const refusal = roleRefusal(session.user, DOING[action]);
  if (refusal) return refusal;
  if (action !== "stop" && powering.has(powerKey(action, scope))) return `A ${action} is under way.`;
  if (targets(status, action, scope).length > 0) return "";
  if (action === "start") return scope.process ? "It is started, or stands by." : "Everything is started.";
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
  const names = tally(tasks.map((task) => task.name));
  const rest = tasks.length - names.slice(0, NAMED).reduce((sum, { count }) => sum + count, 0);
  const words = names.slice(0, NAMED).map(({ name, count }) => (count > 1 ? `${name} (${count})` : name));
  const list = rest > 0 ? `${words.join(", ")} and ${rest} more` : words.join(", ");
  const one = tasks.length === 1 && !more;
  const end = mode === "immediate" ? `${one ? "It is" : "They are"} killed and marked as failed.` : "What does not finish in time is killed and marked as failed.";
  return `${more ? "More than " : ""}${counted(tasks.length, "task")} running now: ${list}. ${end}`;
}

/** How often each name comes, the most frequent first. @param {string[]} names */
function tally(names) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => ({ name, count })).sort((one, other) => other.count - one.count);
}
