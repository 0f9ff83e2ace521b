/**
 * What many processes amount to, said at once when one of them changes. The api says the same (`status.py`), a little
 * later; a test holds the two together.
 * @module
 */

/** @typedef {import("../types.js").Host} Host */
/** @typedef {import("../types.js").Process} Process */

/** The states of a process that is not there and will not come by itself. */
export const DOWN = ["stopped", "fatal"];

/** @param {Host[]} hosts @returns {import("../types.js").CeleryStatus} */
export function celeryStatus(hosts) {
  const shown = hosts.map(asKnown);
  const counts = counting(shown);
  const none = hosts.some((host) => host.state === "online") ? "stopped" : "unknown";
  const of = (/** @type {string} */ kind) => overall(counts.filter((process) => process.kind === kind), none);
  return { celery: overall(counts, none), worker: of("worker"), beat: of("beat"), hosts: shown };
}

/** A host with its word, and no more said of its processes than can be known. @param {Host} host @returns {Host} */
function asKnown(host) {
  const sure = (/** @type {Process} */ process) => host.state === "online" || (host.state === "offline" && process.state === "stopped");
  const processes = host.processes.map((process) => (sure(process) ? process : { ...process, state: "unknown" }));
  const there = processes.filter(isThere);
  const active = there.filter((process) => !process.standby);
  const celery = overall(active.length > 0 ? active : there, host.state === "online" ? "stopped" : "unknown");
  return { ...host, celery, processes };
}

/** Not one that has ended, and that nobody here would start again. @param {Process} process */
function isThere({ guest, configured, state }) {
  return (!guest && configured !== false) || state !== "stopped";
}

/** Those that matter for the whole: no beat on standby, nothing that was stopped before its controller left; unless there is no other. @param {Host[]} hosts */
function counting(hosts) {
  const there = hosts.filter((host) => host.state !== "offline" || host.celery !== "stopped").flatMap((host) => host.processes);
  const processes = (there.length > 0 ? there : hosts.flatMap((host) => host.processes)).filter(isThere);
  const active = processes.filter((process) => !process.standby);
  return active.some(({ kind }) => kind === "beat") ? active : processes;
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
