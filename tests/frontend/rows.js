/**
 * Tasks, hosts and processes for the tests; each gives only what it is about.
 * @module
 */

/** @param {string} id @param {object} [more] @returns {any} */
export function task(id, more) {
  return {
    task_id: id,
    name: "charge",
    celery_name: "shop.orders.charge",
    status: "running",
    confirmed: true,
    attempt: 1,
    created_at: "2026-01-01T10:00:00Z",
    started_at: "2026-01-01T10:00:10Z",
    finished_at: null,
    ...more,
  };
}

/** @param {string} name @param {any[]} processes @param {string} [state] @returns {any} */
export function host(name, processes, state = "online") {
  return { name, state, seen_at: null, celery: "unknown", processes };
}

/** @param {string} name @param {string} state @param {object} [more] @returns {any} */
export function process(name, state, more) {
  return { name, kind: "worker", state, desired: "running", node: `${name}@web-1`, ...more };
}

/** The moment so many seconds after the first task was created. @param {number} seconds */
export function at(seconds) {
  return Date.parse("2026-01-01T10:00:00Z") + seconds * 1000;
}
