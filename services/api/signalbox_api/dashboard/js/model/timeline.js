/**
 * What happened to a task, in order, from its row and its logs.
 * @module
 */

import { moment, spoken } from "../core/format.js";
import { isOver, leftRunning } from "./tasks.js";

/** @typedef {import("../types.js").Task} Task */
/** @typedef {import("../types.js").Log} Log */

/**
 * @typedef {object} Moment
 * @property {string} at  RFC 3339.
 * @property {string} tone  `pending`, `running`, `completed`, `failed` or `cancel`.
 * @property {string} title
 * @property {string} detail
 */

/** @param {Task} task @param {Log[]} logs @returns {Moment[]} */
export function timelineOf(task, logs) {
  const several = logs.length > 1;
  const told = [
    entry(task.created_at, "pending", "Created", task.queue ? `queue ${task.queue}` : ""),
    entry(task.cancel_requested_at, "cancel", "Cancel requested", isOver(task) ? "" : (task.cancel_signal ?? "")),
    ...(logs.length > 0 ? logs.flatMap((log) => attempt(log, several)) : attempt(task, false)),
  ];
  return told.filter((one) => one !== null).sort((a, b) => (moment(a.at) ?? 0) - (moment(b.at) ?? 0));
}

/** @param {Log | Task} one @param {boolean} several */
function attempt(one, several) {
  const which = several ? `Attempt ${one.attempt ?? "?"}` : "";
  const place = [one.host, one.pid ? `pid ${one.pid}` : ""].filter(Boolean).join(" · ");
  const outcome = one.outcome && !["succeeded", "error"].includes(one.outcome) ? spoken(one.outcome) : "";
  const end = [outcome, leftRunning(one)].filter(Boolean).join(" · ");
  if (several && !one.started_at && isOver(one)) {
    const how = one.outcome === "cancelled" ? "refused" : "never started";
    return [entry(one.finished_at, one.status, `${which} ${how}`, [one.host, one.worker].filter(Boolean).join(" · "))];
  }
  return [
    entry(one.started_at, "running", which ? `${which} started` : "Started", place),
    isOver(one) ? entry(one.finished_at, one.status, which ? `${which} ${one.status}` : finish(one.status), end) : null,
  ];
}

/** @param {string} status */
function finish(status) {
  return status === "completed" ? "Completed" : "Failed";
}

/**
 * @param {string | null} at
 * @param {string} tone
 * @param {string} title
 * @param {string} detail
 * @returns {Moment | null}
 */
function entry(at, tone, title, detail) {
  return at ? { at, tone, title, detail } : null;
}
