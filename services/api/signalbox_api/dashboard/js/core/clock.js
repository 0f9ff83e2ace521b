/**
 * The server's time as far as this page knows it, and what ticks by it.
 *
 * Running times are counted on the server's clock, so that a browser whose clock is wrong still shows the truth. When
 * the connection is lost, or nobody vouches for the record, the clock stops at the last moment that is known: what is not
 * known must not go on counting.
 * @module
 */

import { useApp } from "./store.js";
import { useEffect, useRef, useState } from "./ui.js";

const TICK_MS = 250;
const DRIFT_MS = 250;

export class Clock {
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  #offset = 0;
  /** @type {number | null} */
  #frozenAt = null;

  /** The server's time in milliseconds since 1970. */
  now() {
    return Date.now() + this.#offset;
  }

  /** The newest moment that the page knows anything about. */
  known() {
    return this.#frozenAt ?? this.now();
  }

  get frozen() {
    return this.#frozenAt !== null;
  }

  /** Takes the time that a frame carried, in seconds since 1970 or as RFC 3339. @param {number | string | undefined} serverTime */
  observe(serverTime) {
    const at = typeof serverTime === "number" ? serverTime * 1000 : Date.parse(serverTime ?? "");
    const offset = at - Date.now();
    if (Math.abs(offset - this.#offset) > DRIFT_MS) this.#offset = offset;
  }

  /** The server's time at a moment of this machine's clock. @param {number} localTime */
  at(localTime) {
    return localTime + this.#offset;
  }

  /** Stops at a moment of the server's clock, or goes on. @param {number | null} serverTime */
  freeze(serverTime) {
    this.#frozenAt = serverTime;
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #tick() {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * A text that depends on the time; the component renders again only when the text is another one.
 * @template {string | number | boolean} T
 * @param {(clock: Clock) => T} compute
 * @returns {T}
 */
export function useTicking(compute) {
  const { clock } = useApp();
  const [, render] = useState(0);
  const value = compute(clock);
  const latest = useRef({ compute, value });
  latest.current = { compute, value };
  useEffect(
    () =>
      clock.subscribe(() => {
        if (latest.current.compute(clock) !== latest.current.value) render((n) => n + 1);
      }),
    [clock],
  );
  return value;
}
