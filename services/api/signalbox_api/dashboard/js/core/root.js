/**
 * The address below which all of Signalbox lies; a proxy may serve it below a path of its own.
 * @module
 */

/** Three folders above this file, which is `assets/js/core/root.js`. */
const ROOT = new URL("../../../", import.meta.url).href;

/** @param {string} path  As the reference has it, as in `/session`. */
export function addressOf(path) {
  return ROOT + path.slice(1);
}

/** As {@link addressOf}, of a websocket. @param {string} path */
export function socketAddressOf(path) {
  return addressOf(path).replace(/^http/, "ws");
}
