/**
 * The task list: pure functions from one list to the next.
 *
 * Known rows change where they stand. New rows come in at their place, unless rows are held (one is focused, the pointer
 * moves over them, a dialog is open): then they wait. A row that matches the filter no more lingers a moment, so that
 * whoever cancels in "Running" sees it turn red.
 * @module
 */

import { byAge, matches, newer } from "./tasks.js";

/** @typedef {import("../types.js").Task} Task */
/** @typedef {import("../types.js").TaskList} TaskList */
/** @typedef {import("../types.js").Filter} Filter */

export const PAGE_SIZE = 100;
/** More rows than this help nobody and cost every frame. */
export const MOST_ROWS = 2000;
const LINGER_MS = 5000;
/** How many rows beyond the loaded ones may come in live before the tail is dropped. */
const SLACK = 200;

/** @returns {TaskList} */
export function emptyList() {
  return { rows: [], waiting: new Map(), leaving: new Map(), next: null, cap: PAGE_SIZE + SLACK, trimmed: false };
}

/** A list as the server gave it. @param {Task[]} items @param {string | null} next @returns {TaskList} */
export function loadedList(items, next) {
  return { ...emptyList(), rows: items, next, cap: Math.min(MOST_ROWS, items.length + SLACK) };
}

/**
 * The list with the page that follows.
 * @param {TaskList} list
 * @param {Task[]} items
 * @param {string | null} next
 * @returns {TaskList}
 */
export function appended(list, items, next) {
  const known = new Set(list.rows.map((task) => task.task_id));
  const rows = [...list.rows, ...items.filter((task) => !known.has(task.task_id))];
  return { ...list, rows, next, cap: Math.min(MOST_ROWS, rows.length + SLACK) };
}

/**
 * Takes task rows that came live.
 * @param {TaskList} list
 * @param {Task[]} incoming
 * @param {{filter: Filter, held: boolean, now: number}} how
 * @returns {TaskList}
 */
export function applied(list, incoming, { filter, held, now }) {
  const places = new Map(list.rows.map((task, place) => [task.task_id, place]));
  const [rows, waiting, leaving] = [[...list.rows], new Map(list.waiting), new Map(list.leaving)];
  for (const task of incoming) {
    const place = places.get(task.task_id);
    const fits = matches(task, filter);
    if (place !== undefined) {
      const known = rows[place];
      rows[place] = known ? newer(known, task) : task;
      if (fits) leaving.delete(task.task_id);
      else if (!leaving.has(task.task_id)) leaving.set(task.task_id, now);
    } else if (fits && within(list, task)) {
      const known = waiting.get(task.task_id);
      waiting.set(task.task_id, known ? newer(known, task) : task);
    } else {
      waiting.delete(task.task_id);
    }
  }
  for (const id of waiting.keys()) {
    if (waiting.size <= MOST_ROWS) break;
    waiting.delete(id);
  }
  return settled({ ...list, rows, waiting, leaving }, { held, now });
}

/**
 * Lets in what waits and lets go what lingered long enough, unless rows are held. Gives the same list when nothing is to do.
 * @param {TaskList} list
 * @param {{held: boolean, now: number}} how
 * @returns {TaskList}
 */
export function settled(list, { held, now }) {
  if (held) return list;
  const gone = new Set([...list.leaving].filter(([, since]) => now - since >= LINGER_MS).map(([id]) => id));
  if (gone.size === 0 && list.waiting.size === 0) return list;
  let rows = list.rows.filter((task) => !gone.has(task.task_id));
  if (list.waiting.size > 0) rows = [...list.waiting.values(), ...rows].sort(byAge);
  const trimmed = list.trimmed || rows.length > list.cap;
  const leaving = new Map([...list.leaving].filter(([id]) => !gone.has(id)));
  return { ...list, rows: rows.slice(0, list.cap), waiting: new Map(), leaving, trimmed };
}

/** Whether there are older tasks than those shown. @param {TaskList} list */
export function hasMore(list) {
  return (list.next !== null || list.trimmed) && list.rows.length < MOST_ROWS;
}

/** Whether a task lies above the list's end; below it there may be others that are not loaded. @param {TaskList} list @param {Task} task */
function within(list, task) {
  const last = list.rows.at(-1);
  const open = list.next !== null || list.trimmed;
  return !open || last === undefined || byAge(task, last) < 0;
}
