/** Addresses of tasks, whose ids may be any text. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { cancelAddress, parseRoute, taskAddress, taskHash } from "../../services/api/signalbox_api/dashboard/js/core/route.js";

for (const [id, part] of /** @type {const} */ ([
  ["8f8b3c1e-5a64", "8f8b3c1e-5a64"],
  ["order:42@eu", "order:42@eu"],
  ["order:42/7", "base64url:b3JkZXI6NDIvNw"],
  [".", "base64url:Lg"],
  ["..", "base64url:Li4"],
  ["...", "..."],
  ["a%2Fb", "base64url:YSUyRmI"],
  ["Größe", "base64url:R3LDtsOfZQ"],
  ["ü?~", "base64url:w7w_fg"],
  ["base64url:x", "base64url:YmFzZTY0dXJsOng"],
])) {
  test(`the address of ${id}`, () => {
    assert.equal(taskAddress(id), `/scheduler/tasks/${part}/`);
    assert.equal(cancelAddress(id), `/scheduler/cancel-task/${part}/`);
  });
}

for (const id of ["order:42/7", "//a//b/", ".", "..", "a%2Fb%", "a?b=1&c#d", " user  42 ", "Größe-1", "<b>", "🚂"]) {
  test(`a link to ${JSON.stringify(id)} leads to its page`, () => {
    assert.deepEqual(parseRoute(new URL(taskHash(id), "http://127.0.0.1/").hash), { view: "task", id, filter: { status: "", q: "" } });
  });
}
