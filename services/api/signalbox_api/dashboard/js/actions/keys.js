/**
 * The keyboard: what each key does, in one table that the help dialog shows too.
 * @module
 */

import { listHash, PROCESSES_HASH } from "../core/route.js";
import { powerRefusal } from "../model/power.js";
import { isSelecting, selectRefusal } from "../model/selection.js";
import { cancelRefusal } from "../model/tasks.js";

/** @typedef {import("../main.js").App} App */

/** For the help dialog. @type {readonly (readonly [string[], string])[]} */
export const KEYS = [
  [["/"], "Go to the filter"],
  [["j", "↓"], "Next row"],
  [["k", "↑"], "Previous row"],
  [["Enter"], "Open the task; in a dialog, confirm"],
  [["Space"], "Select the task, or not"],
  [["J", "K"], "Select from row to row (with Shift)"],
  [["x"], "Cancel the task, stop the process (asks first)"],
  [["r", "s"], "Restart, start the process (asks first)"],
  [["t", "p"], "Go to the tasks, to the processes"],
  [["Esc"], "Close, or go back to the list"],
  [["?"], "Show these keys"],
];

/** @param {App} app */
export function listenToKeys(app) {
  document.addEventListener("keydown", (event) => {
    const { session, dialog } = app.store.state;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (session.phase !== "in" || dialog) return;
    const acted = inField(event.target) ? onFieldKey(event) : onKey(app, event);
    if (acted) event.preventDefault();
  });
}

/** @param {App} app @param {KeyboardEvent} event @returns {boolean} Whether the key meant something. */
function onKey(app, event) {
  const row = focusedRow() ?? focusedProcess();
  switch (event.key) {
    case "/":
      return focusFilter(app);
    case "j":
      return move(row, 1);
    case "k":
      return move(row, -1);
    case " ":
      return row === document.activeElement && select(app, row);
    case "J":
      return selectOn(app, row, 1);
    case "K":
      return selectOn(app, row, -1);
    case "ArrowDown":
      return row !== null && move(row, 1);
    case "ArrowUp":
      return row !== null && move(row, -1);
    case "Enter":
      if (row === null || row !== document.activeElement || !row.dataset.taskId) return false;
      app.tasks.go(row.dataset.taskId ?? "");
      return true;
    case "x":
      return !event.repeat && (focusedProcess() ? ask(app, "stop") : cancelSelected(app) || cancel(app, row));
    case "r":
      return !event.repeat && ask(app, "restart");
    case "s":
      return !event.repeat && ask(app, "start");
    case "t":
      location.hash = listHash(app.store.state.filter);
      return true;
    case "p":
      location.hash = PROCESSES_HASH;
      return true;
    case "?":
      app.store.update({ dialog: { kind: "help" } });
      return true;
    case "Escape":
      return back(app, row);
    default:
      return false;
  }
}

/** In a field only these keys are ours. @param {KeyboardEvent} event */
function onFieldKey(event) {
  const field = /** @type {HTMLElement} */ (event.target);
  if (field.id !== "filter") return false;
  if (event.key === "Escape") {
    field.blur();
    return true;
  }
  if (event.key === "ArrowDown" || event.key === "Enter") return move(null, 1);
  return false;
}

/** @param {EventTarget | null} target */
function inField(target) {
  return target instanceof HTMLElement && target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}

/** @returns {HTMLElement | null} */
function focusedRow() {
  return document.activeElement?.closest("[data-task-id]") ?? null;
}

/** @returns {HTMLElement | null} */
function focusedProcess() {
  return document.activeElement?.closest("[data-process]") ?? null;
}

/** @param {HTMLElement | null} row @param {1 | -1} step */
function move(row, step) {
  /** @type {HTMLElement[]} */
  const rows = [...document.querySelectorAll('[data-testid="task-row"], [data-process]')].filter((one) => one instanceof HTMLElement);
  const place = row === null ? (step > 0 ? 0 : rows.length - 1) : rows.indexOf(row) + step;
  const next = rows[Math.max(0, Math.min(place, rows.length - 1))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
  return next !== undefined;
}

/** @param {App} app */
function focusFilter(app) {
  const field = () => /** @type {HTMLInputElement | null} */ (document.getElementById("filter"));
  if (field()) {
    field()?.select();
    return true;
  }
  location.hash = listHash(app.store.state.filter);
  // The list is drawn two frames after the URL changed.
  requestAnimationFrame(() => requestAnimationFrame(() => field()?.select()));
  return true;
}

/** @param {App} app @param {HTMLElement | null} row @param {{range?: boolean}} [how] */
function select({ bulk, store, toasts }, row, how) {
  const task = store.state.list.rows.find((one) => one.task_id === row?.dataset.taskId);
  if (!task) return false;
  const refusal = selectRefusal(task, store.state.session.user);
  if (refusal) toasts.show("plain", refusal);
  else bulk.select(task.task_id, how);
  return true;
}

/** Goes on to the next row and takes both in. @param {App} app @param {HTMLElement | null} row @param {1 | -1} step */
function selectOn(app, row, step) {
  const { selection, list } = app.store.state;
  const id = row?.dataset.taskId;
  const task = list.rows.find((one) => one.task_id === id);
  if (task && !selection.ids.has(task.task_id) && !selectRefusal(task, app.store.state.session.user)) select(app, row);
  if (!move(row, step)) return false;
  const next = focusedRow();
  const there = list.rows.find((one) => one.task_id === next?.dataset.taskId);
  if (there && !selectRefusal(there, app.store.state.session.user)) select(app, next, { range: true });
  return true;
}

/** @param {App} app */
function cancelSelected({ store }) {
  if (store.state.route.view !== "tasks" || !isSelecting(store.state.selection)) return false;
  store.update({ dialog: { kind: "bulk" } });
  return true;
}

/** @param {App} app @param {HTMLElement | null} row */
function cancel({ store, clock, toasts }, row) {
  const { route, list, page, session, asked } = store.state;
  const id = route.view === "task" ? route.id : row?.dataset.taskId;
  const task = route.view === "task" ? page.task : list.rows.find((one) => one.task_id === id);
  if (!task) return false;
  const refusal = cancelRefusal(task, session.user, asked.has(task.task_id), clock.now());
  if (refusal) toasts.show("plain", refusal);
  else store.update({ dialog: { kind: "cancel", task } });
  return true;
}

/** Asks about the focused process. @param {App} app @param {import("../types.js").Power} action */
function ask({ store, toasts }, action) {
  const { host, name } = focusedProcess()?.dataset ?? {};
  if (!host || !name) return false;
  const scope = { host, process: name };
  const refusal = powerRefusal(store.state, action, scope);
  if (refusal) toasts.show("plain", refusal);
  else store.update({ dialog: { kind: "power", action, scope } });
  return true;
}

/** @param {App} app @param {HTMLElement | null} row */
function back({ store, bulk }, row) {
  if (store.state.route.view === "tasks" && isSelecting(store.state.selection)) {
    bulk.clear();
    return true;
  }
  if (store.state.route.view !== "tasks") {
    location.hash = listHash(store.state.filter);
    return true;
  }
  row?.blur();
  return row !== null;
}
