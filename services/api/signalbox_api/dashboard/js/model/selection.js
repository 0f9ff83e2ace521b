/**
 * Which rows are selected: pure functions from one selection to the next.
 * @module
 */

import { roleRefusal } from "./roles.js";
import { isOver } from "./tasks.js";

/** @typedef {import("../types.js").Task} Task */
/** @typedef {import("../types.js").Filter} Filter */
/** @typedef {import("../types.js").Selection} Selection */

/** @returns {Selection} */
export function emptySelection() {
  return { ids: new Set(), anchor: "", matching: null };
}

/** With a row in or out; it is where a range begins. @param {Selection} selection @param {string} id @returns {Selection} */
export function toggled(selection, id) {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, anchor: id, matching: null };
}

/**
 * With all rows from the last one that was chosen to this one; those that are over stay out.
 * @param {Selection} selection
 * @param {readonly Task[]} rows
 * @param {string} id
 * @returns {Selection}
 */
export function extended(selection, rows, id) {
  const [from, to] = [selection.anchor, id].map((one) => rows.findIndex((task) => task.task_id === one));
  if (from === undefined || to === undefined || from < 0 || to < 0) return toggled(selection, id);
  const between = rows.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { ids: new Set([...selection.ids, ...openIds(between)]), anchor: selection.anchor, matching: null };
}

/** With every row that is shown and not over, or with none if they were all in. @param {Selection} selection @param {readonly Task[]} rows @returns {Selection} */
export function allShown(selection, rows) {
  const ids = openIds(rows);
  return ids.every((id) => selection.ids.has(id)) ? emptySelection() : { ids: new Set(ids), anchor: "", matching: null };
}

/** The selected tasks that can still be cancelled. @param {Selection} selection @param {readonly Task[]} rows */
export function chosen(selection, rows) {
  return rows.filter((task) => selection.ids.has(task.task_id) && !isOver(task));
}

/** Whether anything is selected. @param {Selection} selection */
export function isSelecting(selection) {
  return selection.ids.size > 0 || selection.matching !== null;
}

/**
 * The list's filter as a cancel takes it; null where it would mean everything, or what is over.
 * @param {Filter} filter
 * @returns {{status?: string, q?: string} | null}
 */
export function cancelFilter(filter) {
  if (filter.status === "completed" || filter.status === "failed" || (!filter.status && !filter.q)) return null;
  return { ...(filter.status && { status: filter.status }), ...(filter.q && { q: filter.q }) };
}

/** Why this row cannot be selected, in words; empty where it can. @param {Task} task @param {import("../types.js").User | null} user */
export function selectRefusal(task, user) {
  return roleRefusal(user, "cancelling") || (isOver(task) ? `It is over: ${task.status}.` : "");
}

/** @param {readonly Task[]} rows */
function openIds(rows) {
  return rows.filter((task) => !isOver(task)).map((task) => task.task_id);
}
