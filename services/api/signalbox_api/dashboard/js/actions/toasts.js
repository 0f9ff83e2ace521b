/**
 * The status line: short messages that screen readers speak too.
 * @module
 */

/** Good news goes by itself; bad news stays until a person sends it away. */
const GOOD_MS = 7000;
const MOST = 5;

export class Toasts {
  #last = 0;

  /** @param {import("../core/store.js").Store<import("../model/state.js").State>} store */
  constructor(store) {
    this.store = store;
  }

  /**
   * @param {import("../types.js").Toast["kind"]} kind
   * @param {string} text
   * @param {import("../types.js").Offer | null} [offer]
   */
  show(kind, text, offer = null) {
    const id = ++this.#last;
    const others = this.store.state.toasts.filter((toast) => toast.text !== text);
    this.store.update({ toasts: [...others, { id, kind, text, offer }].slice(-MOST) });
    if (kind !== "bad") setTimeout(() => this.dismiss(id), GOOD_MS);
  }

  /** @param {number} id */
  dismiss(id) {
    this.store.update({ toasts: this.store.state.toasts.filter((toast) => toast.id !== id) });
  }
}
