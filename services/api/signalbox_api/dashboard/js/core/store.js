/**
 * The page's one state, and the hook by which a view reads its part of it.
 * @module
 */

import { createContext, useContext, useLayoutEffect, useRef, useState } from "./ui.js";

/**
 * Holds one immutable object; `update` replaces parts of it and tells whoever listens.
 * @template S
 */
export class Store {
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /** @param {S} state */
  constructor(state) {
    this.state = state;
  }

  /** @param {Partial<S>} patch */
  update(patch) {
    this.state = { ...this.state, ...patch };
    for (const listener of this.#listeners) listener();
  }

  /**
   * @param {() => void} listener
   * @returns {() => void}  Ends the subscription.
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** What every view may reach: the store, the clock and the actions. */
export const AppContext = createContext(/** @type {any} */ (null));

/** @returns {import("../main.js").App} */
export function useApp() {
  return useContext(AppContext);
}

/**
 * Reads a part of the state, and renders again when that part is another one.
 * @template T
 * @param {(state: import("../model/state.js").State) => T} select
 * @returns {T}
 */
export function useStore(select) {
  const { store } = useApp();
  const [, render] = useState(0);
  const value = select(store.state);
  const latest = useRef({ select, value });
  latest.current = { select, value };
  useLayoutEffect(() => {
    const look = () => {
      if (latest.current.select(store.state) !== latest.current.value) render((n) => n + 1);
    };
    look();
    return store.subscribe(look);
  }, [store]);
  return value;
}
