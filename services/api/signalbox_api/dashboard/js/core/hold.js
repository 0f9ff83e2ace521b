/**
 * Knows when rows must not move: one of them has the focus, the pointer moves over them, or the person has scrolled down.
 * @module
 */

/** A pointer that rests is nobody aiming. */
const POINTER_MS = 3000;
/** Further down than this, rows coming in above would push away what is being read. */
const SCROLLED_PX = 8;

export class Hold {
  /** @type {HTMLElement | null} */
  #element = null;
  #pointerUntil = 0;
  #last = "";

  /** Whether rows are to stay where they are. */
  get active() {
    const focused = this.#element?.contains(document.activeElement) ?? false;
    return focused || Date.now() < this.#pointerUntil || window.scrollY > SCROLLED_PX;
  }

  /** @param {HTMLElement} element  The list. @returns {() => void}  Ends the watch. */
  watch(element) {
    const ended = new AbortController();
    const options = { signal: ended.signal };
    this.#element = element;
    element.addEventListener("pointerleave", () => (this.#pointerUntil = 0), options);
    element.addEventListener("pointermove", (event) => this.#moved(event), options);
    return () => {
      ended.abort();
      this.#element = null;
      this.#pointerUntil = 0;
    };
  }

  /** @param {PointerEvent} event */
  #moved(event) {
    // Browsers tell of a move when the rows move under a pointer that rests; that is not a person.
    const place = `${event.screenX} ${event.screenY}`;
    if (place === this.#last) return;
    this.#last = place;
    this.#pointerUntil = Date.now() + POINTER_MS;
  }
}
