/** From where the live connection resumes, and what it asks for. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Live } from "../../services/api/signalbox_api/dashboard/js/core/live.js";

/** The connections of a page, the latest last, with what it has sent. @type {any[]} */
let sockets = [];

/** The server's end, which the test plays. */
class Socket {
  /** @type {any[]} */
  sent = [];

  /** @param {string} url */
  constructor(url) {
    this.query = Object.fromEntries(new URL(url).searchParams);
    sockets.push(this);
  }

  /** @param {string} message */
  send(message) {
    this.sent.push(JSON.parse(message));
  }

  close() {}
}

/** @type {Live} */
let live;

beforeEach(() => {
  sockets = [];
  globalThis.WebSocket = /** @type {any} */ (Socket);
  live = new Live("ws://box/live/", { state() {}, time() {}, resync() {}, changes() {}, refused() {} });
  live.subscribe({ tasks: {}, task: null, processes: true });
  live.start();
  frame("hello", { position: "1-0", resync: true });
});

afterEach(() => live.stop());

/** @param {string} type @param {object} fields */
function frame(type, fields) {
  sockets.at(-1).onmessage({ data: JSON.stringify({ type, changes: [], ...fields }) });
}

/** The connection is cut, and made again. */
function resumed() {
  sockets.at(-1).onclose({ code: 1006 });
  live.retryNow();
  return sockets.at(-1).query.since;
}

/** @param {string} id */
function turnTo(id) {
  live.subscribe({ tasks: null, task: id, processes: true });
}

test("a page resumes from the last change or beat that came", () => {
  frame("changes", { position: "2-0" });
  frame("beat", { position: "3-0" });
  assert.equal(resumed(), "3-0");
});

test("what comes of the old subscription is no news of the new one, until the server has answered", () => {
  turnTo("a");
  frame("changes", { position: "2-0" });
  frame("beat", { position: "3-0" });
  assert.equal(resumed(), "1-0");
});

test("with the answer the new subscription goes on", () => {
  turnTo("a");
  frame("subscribed", { position: "1-0", resync: false });
  frame("changes", { position: "2-0" });
  assert.equal(resumed(), "2-0");
});

test("a page that turns again asks when the answer to the last question is there, for what is shown then", () => {
  const socket = sockets.at(-1);
  for (const id of ["a", "b", "c"]) turnTo(id);
  assert.deepEqual(socket.sent.map((/** @type {any} */ { subscription, since }) => [subscription.task, since]), [["a", "1-0"]]);
  frame("beat", { position: "2-0" });
  frame("subscribed", { position: "1-0", resync: false });
  assert.deepEqual(socket.sent.slice(1).map((/** @type {any} */ { subscription, since }) => [subscription.task, since]), [["c", "1-0"]]);
  frame("subscribed", { position: "1-0", resync: false });
  turnTo("d");
  assert.equal(socket.sent.length, 3);
});

test("a page whose subscription the server does not know, as it is older, gets everything", () => {
  const socket = sockets.at(-1);
  turnTo("a");
  frame("error", { message: "no such subscription" });
  frame("beat", { position: "2-0" });
  assert.deepEqual(socket.sent.slice(1), [{ type: "subscribe", subscription: null, since: "1-0" }]);
  frame("subscribed", { position: "1-0", resync: false });
  assert.equal(socket.sent.length, 2);
  frame("changes", { position: "3-0" });
  assert.equal(resumed(), "3-0");
});

test("a page whose server knows no subscription at all asks no more", () => {
  const socket = sockets.at(-1);
  turnTo("a");
  frame("error", { message: "no such message" });
  frame("error", { message: "no such message" });
  assert.equal(socket.sent.length, 2);
  frame("changes", { position: "3-0" });
  assert.equal(resumed(), "3-0");
});
