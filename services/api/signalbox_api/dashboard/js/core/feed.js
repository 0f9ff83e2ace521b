/**
 * Gathers changes and hands them on once per frame, so that a storm of them never jams the page.
 *
 * Of several changes of one row only the last is kept, which also bounds what is gathered. A hidden page gets no frames,
 * so there a timer takes their place.
 * @module
 */

/** @typedef {import("../types.js").Change} Change */

const HIDDEN_MS = 1000;

export class Feed {
  /** @type {Map<string, Change>} */
  #gathered = new Map();
  #scheduled = false;

  /** @param {(changes: Change[]) => void} deliver */
  constructor(deliver) {
    this.deliver = deliver;
  }

  /** @param {Change[]} changes */
  push(changes) {
    for (const change of changes) {
      const key = `${change.kind} ${change.key}`;
      this.#gathered.delete(key);
      this.#gathered.set(key, change);
    }
    if (this.#scheduled || this.#gathered.size === 0) return;
    this.#scheduled = true;
    const flush = () => this.#flush();
    if (document.visibilityState === "visible") requestAnimationFrame(flush);
    else setTimeout(flush, HIDDEN_MS);
  }

  #flush() {
    this.#scheduled = false;
    const changes = [...this.#gathered.values()];
    this.#gathered.clear();
    this.deliver(changes);
  }
}
