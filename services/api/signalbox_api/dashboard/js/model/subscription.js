/**
 * What the page asks the live connection for: the changes of what it shows.
 * @module
 */

/** @typedef {import("../types.js").Route} Route */
/** @typedef {import("../types.js").Filter} Filter */
/** @typedef {import("../types.js").Subscription} Subscription */

/** @param {Route} route @param {Filter} filter  Of the task list. @returns {Subscription} */
export function subscriptionOf({ view, id }, { status, q }) {
  return {
    tasks: view === "tasks" ? { ...(status && { status }), ...(q && { q }) } : null,
    task: view === "task" ? id : null,
    processes: true, // the badges are on every page
  };
}
