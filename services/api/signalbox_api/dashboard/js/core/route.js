/**
 * Where the page is, in the URL's fragment: `#/tasks?status=running&q=pay`, `#/tasks/<id>`, `#/processes`.
 *
 * The fragment never reaches the server, so one static page serves every address and a link can be sent to a colleague.
 * @module
 */

/** @typedef {import("../types.js").Route} Route */
/** @typedef {import("../types.js").Filter} Filter */

const STATUSES = ["pending", "running", "completed", "failed"];

/** @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const asked = new URLSearchParams(query);
  const status = asked.get("status") ?? "";
  /** @type {Filter} */
  const filter = {
    status: STATUSES.includes(status) ? /** @type {Filter["status"]} */ (status) : "",
    q: asked.get("q") ?? "",
  };
  const [view, id] = path.split("/").filter(Boolean);
  if (view === "processes") return { view: "processes", id: "", filter };
  if (view === "tasks" && id) return { view: "task", id: unescaped(id), filter };
  return { view: "tasks", id: "", filter };
}

/** @param {Filter} filter */
export function listHash(filter) {
  const query = queryOf(filter);
  return query ? `#/tasks?${query}` : "#/tasks";
}

/** @param {string} id */
export function taskHash(id) {
  return `#/tasks/${encodeURIComponent(id)}`;
}

/** Begins an id in an address of the api whose characters a proxy or a browser might change. */
const ENCODED = "base64url:";

/** The address of a task in the api; an id may be any text: a slash, a dot alone, letters beyond ASCII. @param {string} id */
export function taskAddress(id) {
  return `/scheduler/tasks/${addressPart(id)}/`;
}

/** Where to cancel a task. @param {string} id */
export function cancelAddress(id) {
  return `/scheduler/cancel-task/${addressPart(id)}/`;
}

/** @param {string} id */
function addressPart(id) {
  if (/^(?!\.{1,2}$)[A-Za-z0-9_.:@-]+$/.test(id) && !id.startsWith(ENCODED)) return id;
  const bytes = Array.from(new TextEncoder().encode(id), (byte) => String.fromCharCode(byte)).join("");
  return ENCODED + btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export const PROCESSES_HASH = "#/processes";

/** The filter as a query, without what is empty. @param {Filter} filter */
export function queryOf(filter) {
  const query = new URLSearchParams();
  if (filter.status) query.set("status", filter.status);
  if (filter.q) query.set("q", filter.q);
  return query.toString();
}

/** @param {string} text */
function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
