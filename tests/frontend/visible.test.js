/** Characters that act on what is around them are shown as what they are. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { showVisibly, visible } from "../../services/api/signalbox_api/dashboard/js/core/visible.js";

for (const [text, shown] of /** @type {[string, string][]} */ ([
  ["a\u001b[31mb\u009bc\u007f", "a\\x1b[31mb\\x9bc\\x7f"],
  ["\u0000\r\u0085", "\\x00\\x0d\\x85"],
  ["invoice\u202efdp.exe", "invoice\\u202efdp.exe"],
  ["\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069", "\\u061c\\u200e\\u200f\\u202a\\u202b\\u202c\\u202d\\u2066\\u2067\\u2068\\u2069"],
  ["\u2028\u2029", "\\u2028\\u2029"],
  ["Größe 🚂\n\tשלום 中文\u200d\u00a0", "Größe 🚂\n\tשלום 中文\u200d\u00a0"],
])) {
  test(`shown visibly: ${JSON.stringify(text)}`, () => {
    assert.equal(visible(text), shown);
    assert.equal(visible(shown), shown);
  });
}

test("what people see of an element is made visible, what the page reads stays as it is", () => {
  const raw = "a\u202eb";
  const names = ["title", "aria-label", "placeholder", "href", "data-task-id", "value"];
  const given = Object.fromEntries(names.map((name) => [name, raw]));
  const seen = (/** @type {any} */ vnode) => (showVisibly(vnode), names.filter((name) => vnode.props[name] !== raw));
  assert.deepEqual(seen({ type: "input", props: { ...given } }), ["title", "aria-label", "placeholder"]);
  assert.deepEqual(seen({ type: "input", props: { ...given, readOnly: true } }), ["title", "aria-label", "placeholder", "value"]);
  assert.deepEqual(seen({ type: () => null, props: { ...given } }), []);
});

test("a text of its own is made visible, a number stays one", () => {
  const nodes = [{ type: null, props: "a\u202eb" }, { type: null, props: 5 }];
  nodes.forEach(showVisibly);
  assert.deepEqual(nodes.map((one) => one.props), ["a\\u202eb", 5]);
});
