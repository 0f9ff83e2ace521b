/**
 * The processes: how a live change alters what is shown, and what a stop or a start would hit.
 * @module
 */

/** @typedef {import("../types.js").CeleryStatus} CeleryStatus */
/** @typedef {import("../types.js").Host} Host */
/** @typedef {import("../types.js").Process} Process */
/** @typedef {import("../types.js").Change} Change */

/**
 * Takes process and host rows. The three overall words are the server's to give, so they are asked for afterwards.
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
  return { ...status, hosts };
}

/**
 * What a stop or a start would hit, host by host.
 * @param {CeleryStatus | null} status
 * @param {"stop" | "start"} action
 * @returns {Host[]}
 */
export function targets(status, action) {
  const down = ["stopped", "fatal"];
  const hit = (/** @type {Process} */ process) => down.includes(process.state) === (action === "start");
  return (status?.hosts ?? [])
    .map((host) => ({ ...host, processes: host.processes.filter(hit) }))
    .filter((host) => host.processes.length > 0);
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
