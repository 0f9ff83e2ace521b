/**
 * Who is signed in: found out at the start, after a refusal, and by the form.
 * @module
 */

import { isSignedOut, words } from "../core/api.js";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 5000;

export class SessionActions {
  #retries = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import("../core/store.js").Store<import("../model/state.js").State>} store
   * @param {import("../core/api.js").Api} api
   * @param {{entered: () => void, left: () => void}} follow  What begins and ends with a session.
   */
  constructor(store, api, follow) {
    this.store = store;
    this.api = api;
    this.follow = follow;
  }

  /** Asks who is signed in; tries again until there is an answer. */
  async check() {
    clearTimeout(this.#timer);
    try {
      this.#enter(await this.api.get("/session"));
    } catch (error) {
      if (isSignedOut(error) || this.store.state.session.phase === "in") return;
      this.store.update({ session: { phase: "unreachable", user: null, message: words(error) } });
      const ceiling = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#retries++);
      this.#timer = setTimeout(() => this.check(), ceiling * (0.5 + Math.random() / 2));
    }
  }

  /** @param {string} username @param {string} password @returns {Promise<string>}  What went wrong, or nothing. */
  async signIn(username, password) {
    try {
      this.#enter(await this.api.post("/session", { username, password }));
      return "";
    } catch (error) {
      return words(error);
    }
  }

  async signOut() {
    try {
      await this.api.call("DELETE", "/session");
    } catch (error) {
      if (!isSignedOut(error)) throw error;
    }
    this.#leave("You are signed out.");
  }

  /** The api answered 401: back to the form; the URL stays, so that signing in leads to the same place. */
  expired() {
    const { phase } = this.store.state.session;
    if (phase !== "out") this.#leave(phase === "in" ? "Your session has ended. Sign in to go on." : "");
  }

  /** @param {{user: import("../types.js").User}} answer */
  #enter(answer) {
    this.#retries = 0;
    const entered = this.store.state.session.phase !== "in";
    this.store.update({ session: { phase: "in", user: answer.user, message: "" } });
    if (entered) this.follow.entered();
  }

  /** @param {string} message */
  #leave(message) {
    this.store.update({ session: { phase: "out", user: null, message }, dialog: null });
    this.follow.left();
  }
}
