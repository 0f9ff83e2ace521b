/**
 * Gathers changes and hands them on with the next frame, so that a storm of them never jams the page.
 *
 * Of several changes of one row only one is kept, which also bounds what is gathered: the last, unless another one is
 * known to be newer, as two writers of the record may publish in the other order. A hidden page gets no frames, so there
 * a timer takes their place.
 * @module
 */

/** @typedef {import("../types.js").Change} Change */

const HIDDEN_MS = 1000;
/** In a storm this is often enough for any eye, and takes a third of the work that every frame would. */
const STORM_GAP_MS = 50;

export class Feed {
  /** @type {Map<string, Change>} */
  #gathered = new Map();
  #scheduled = false;
  #flushed = 0;

  /**
   * @param {(changes: Change[]) => void} deliver
   * @param {(known: Change, incoming: Change) => Change} newer  Which of two changes of one row is kept.
   */
  constructor(deliver, newer = (_, incoming) => incoming) {
    this.deliver = deliver;
    this.newer = newer;
  }

  /** @param {Change[]} changes */
  push(changes) {
    for (const change of changes) {
      const key = `${change.kind} ${change.key}`;
      const known = this.#gathered.get(key);
      this.#gathered.delete(key);
      this.#gathered.set(key, known ? this.newer(known, change) : change);
    }
    if (this.#scheduled || this.#gathered.size === 0) return;
    this.#scheduled = true;
    this.#schedule(() => this.flush());
  }

  /** @param {() => void} flush */
  #schedule(flush) {
    const gap = this.#flushed + STORM_GAP_MS - performance.now();
    if (document.visibilityState !== "visible") setTimeout(flush, HIDDEN_MS);
    else if (gap > 0) setTimeout(flush, gap);
    else requestAnimationFrame(flush);
  }

  /** Hands on what there is, now. */
  flush() {
    if (!this.#scheduled) return;
    this.#scheduled = false;
    this.#flushed = performance.now();
    const changes = [...this.#gathered.values()];
    this.#gathered.clear();
    this.deliver(changes);
  }
}
