/**
 * Facts about one task that several views need: which of two versions holds, where it stands in a list, what may be done.
 * @module
 */

import { moment } from "../core/format.js";
import { roleRefusal } from "./roles.js";

/** @typedef {import("../types.js").Task} Task */
/** @typedef {import("../types.js").Filter} Filter */
/** @typedef {import("../types.js").Change} Change */

/** How long after the last thing that was to happen a cancel counts as under way; then it may be asked for again. */
const CANCEL_PATIENCE_MS = 15_000;

/** @param {{status: string}} task */
export function isOver(task) {
  return task.status === "failed" || task.status === "completed";
}

/** @param {Task} task */
export function isCancelling(task) {
  return !isOver(task) && Boolean(task.cancel_requested_at);
}

/**
 * The version that holds of two. A change wins over what is shown, except one that was under way while the lists were
 * loaded: a finish that somebody saw is not undone by older news of the same attempt.
 * @param {Task} shown
 * @param {Task} incoming
 */
export function newer(shown, incoming) {
  const older =
    isOver(shown) &&
    shown.confirmed &&
    !isOver(incoming) &&
    (incoming.attempt ?? 0) <= (shown.attempt ?? 0) &&
    (moment(incoming.started_at) ?? 0) <= (moment(shown.started_at) ?? 0);
  return older ? shown : incoming;
}

/**
 * The same for two changes of one row.
 * @param {Change} known
 * @param {Change} incoming
 */
export function newerChange(known, incoming) {
  if (incoming.kind !== "task" || !known.row || !incoming.row) return incoming;
  return newer(known.row, incoming.row) === known.row ? known : incoming;
}

/**
 * The version that holds of all that came of one task, and of what is shown.
 * @param {Task | null} shown
 * @param {Task[]} incoming  In the order in which they came.
 */
export function newest(shown, incoming) {
  return incoming.reduce((known, task) => (known ? newer(known, task) : task), shown);
}

/** Newest first, as the server lists them. @param {Task} a @param {Task} b */
export function byAge(a, b) {
  const difference = (moment(b.created_at) ?? 0) - (moment(a.created_at) ?? 0);
  return difference || (a.task_id < b.task_id ? 1 : a.task_id > b.task_id ? -1 : 0);
}

/**
 * Whether a task that came live belongs into the list, by the rule of the server's live connection.
 * @param {Task} task
 * @param {Filter} filter
 */
export function matches(task, filter) {
  if (filter.status && task.status !== filter.status) return false;
  if (!filter.q) return true;
  const wanted = filter.q.toLowerCase();
  const texts = [task.name, task.celery_name, task.task_id, task.full_id, task.error, task.args, task.kwargs];
  return texts.some((text) => typeof text === "string" && text.toLowerCase().includes(wanted));
}

/** How long it has run or waited until `now`, or ran in all; in milliseconds. @param {Task} task @param {number} now */
export function spanOf(task, now) {
  const from = moment(task.status === "pending" ? task.created_at : task.started_at);
  if (from === null) return null;
  const until = isOver(task) ? moment(task.finished_at) : now;
  return until === null ? null : Math.max(0, until - from);
}

/**
 * Why this task cannot be cancelled now, in words; empty where it can.
 * @param {Task} task
 * @param {import("../types.js").User | null} user
 * @param {boolean} asked
 * @param {number} now
 */
export function cancelRefusal(task, user, asked, now) {
  if (isOver(task)) return `It is over: ${task.status}.`;
  const refusal = roleRefusal(user, "cancelling");
  if (refusal) return refusal;
  if (asked) return "The cancel was sent; the answer is awaited.";
  const last = Math.max(moment(task.cancel_requested_at) ?? 0, moment(task.cancel_kill_at) ?? 0);
  if (last > 0 && now - last < CANCEL_PATIENCE_MS) return "A cancel is already under way.";
  return "";
}

/** Why this user may not let a task run again whose id was cancelled; empty where they may. @param {import("../types.js").User | null} user */
export function allowRefusal(user) {
  return roleRefusal(user, "letting a task run again");
}

/** The runs of a task at this moment, the first one first. @param {import("../types.js").Log[]} logs */
export function liveRuns(logs) {
  return logs.filter(({ status }) => status === "running").sort((a, b) => (a.attempt ?? 0) - (b.attempt ?? 0));
}

/**
 * How far a cancel has come: `Cancelling… TERM, KILL in 4 s`.
 * @param {Task} task
 * @param {number} now
 */
export function cancelProgress(task, now) {
  if (task.cancel_signal === "KILL") return "Cancelling… KILL sent, waiting for proof";
  if (!task.cancel_signal) return "Cancelling…";
  const killAt = moment(task.cancel_kill_at);
  if (killAt === null) return `Cancelling… ${task.cancel_signal} sent`;
  const left = Math.ceil((killAt - now) / 1000);
  return left > 0 ? `Cancelling… ${task.cancel_signal}, KILL in ${left} s` : `Cancelling… ${task.cancel_signal}, KILL is due`;
}

/** What a task has left running, in words; empty when that is nothing. @param {{left_processes?: number}} one */
export function leftRunning({ left_processes: left = 0 }) {
  return left > 0 ? `left ${left} ${left === 1 ? "process" : "processes"} running` : "";
}

/** What proves the end of a cancelled task, in words; null when nothing had to be ended. @param {Pick<Task, "proof">} task */
export function proofOf({ proof }) {
  if (!proof) return null;
  return proof === "cgroup" ? "by the kernel: nothing of it is left" : "by a search: what left the task's family cannot be found";
}
