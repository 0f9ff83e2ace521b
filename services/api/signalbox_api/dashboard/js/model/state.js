/**
 * What the page knows at one moment, and how that begins.
 * @module
 */

import { emptySelection } from "./selection.js";
import { emptyList } from "./task_list.js";

/**
 * @typedef {object} Session
 * @property {"checking" | "unreachable" | "out" | "in"} phase
 * @property {import("../types.js").User | null} user
 * @property {string} message  Why the page asks to sign in, or cannot.
 *
 * @typedef {"loading" | "ready" | "failed"} Phase
 *
 * @typedef {object} Page  The task page.
 * @property {string} id
 * @property {Phase} phase
 * @property {import("../types.js").Task | null} task
 * @property {import("../types.js").Log[]} logs
 * @property {string} error
 *
 * @typedef {{kind: "power", action: import("../types.js").Power, scope: import("../types.js").Scope, mode?: string}} PowerQuestion
 * @typedef {{kind: "cancel", task: import("../types.js").Task} | PowerQuestion | {kind: "bulk"} | {kind: "forget", host: string} | {kind: "help"}} Dialog
 *
 * @typedef {object} State
 * @property {Session} session
 * @property {import("../types.js").Route} route
 * @property {import("../types.js").Filter} filter  Of the task list; it outlives a look at another view.
 * @property {import("../types.js").Connection} connection
 * @property {import("../types.js").TaskList} list
 * @property {{phase: Phase, error: string, more: boolean}} listing  How the list's loading goes; `more` while a further page is.
 * @property {string} note  What a search has left out, and why.
 * @property {Page} page
 * @property {import("../types.js").CeleryStatus | null} status
 * @property {string} statusError  Why the processes could not be looked at, or nothing.
 * @property {import("../types.js").Selection} selection  Of rows of the task list.
 * @property {import("../types.js").Bulk | null} bulk  The cancel of many tasks that is under way, or what came of it.
 * @property {Dialog | null} dialog
 * @property {ReadonlySet<string>} asked  Ids whose cancel was sent and not answered yet.
 * @property {ReadonlySet<string>} powering  The stops, starts and restarts that were sent and not answered yet (`powerKey`).
 * @property {readonly import("../types.js").Toast[]} toasts
 */

/** @param {import("../types.js").Route} route @returns {State} */
export function initialState(route) {
  return {
    session: { phase: "checking", user: null, message: "" },
    route,
    filter: route.filter,
    connection: { phase: "stopped", retryAt: null, asOf: null, behind: [], bus: true, why: "", leftOut: 0 },
    list: emptyList(),
    listing: { phase: "loading", error: "", more: false },
    note: "",
    page: emptyPage(route.id),
    status: null,
    statusError: "",
    selection: emptySelection(),
    bulk: null,
    dialog: null,
    asked: new Set(),
    powering: new Set(),
    toasts: [],
  };
}

/** @param {string} id @returns {Page} */
export function emptyPage(id) {
  return { id, phase: "loading", task: null, logs: [], error: "" };
}
