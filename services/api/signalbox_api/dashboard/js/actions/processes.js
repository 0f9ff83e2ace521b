/**
 * What a person does with processes: look at them, stop them, start them.
 * @module
 */

import { isSignedOut, words } from "../core/api.js";
import { changedStatus } from "../model/processes.js";

/** No more often than this is the overall state asked for, however many changes come. */
const REFRESH_GAP_MS = 500;
/** Nobody publishes that nobody publishes; so look once in a while. */
const REFRESH_EVERY_MS = 5_000;
/** A graceful stop waits for tasks; the server answers 202 before this. */
const POWER_TIMEOUT_MS = 90_000;

export class ProcessActions {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #due = Infinity;
  #running = false;

  /**
   * @param {import("../core/store.js").Store<import("../model/state.js").State>} store
   * @param {import("../core/api.js").Api} api
   * @param {import("./toasts.js").Toasts} toasts
   */
  constructor(store, api, toasts) {
    this.store = store;
    this.api = api;
    this.toasts = toasts;
  }

  start() {
    this.#running = true;
  }

  stop() {
    this.#running = false;
    this.#clear();
  }

  async refresh() {
    this.#clear();
    try {
      const status = await this.api.get("/scheduler/celery-status/");
      this.store.update({ status, statusError: "" });
    } catch (error) {
      if (!isSignedOut(error)) this.store.update({ statusError: words(error) });
    }
    this.#later(REFRESH_EVERY_MS);
  }

  /** @param {import("../types.js").Change[]} changes */
  receive(changes) {
    const ours = changes.filter(({ kind }) => kind === "process" || kind === "host");
    const { status } = this.store.state;
    if (ours.length === 0) return;
    if (status) this.store.update({ status: changedStatus(status, ours) });
    if (ours.some((change) => !isHeartbeat(status, change))) this.#later(REFRESH_GAP_MS);
  }

  /**
   * Stops or starts everything.
   * @param {"stop" | "start"} action
   * @param {{mode?: string, reason?: string}} how
   */
  async power(action, how) {
    this.store.update({ powering: true });
    try {
      const answer = await this.api.post(`/scheduler/${action}-celery/`, how, { timeout: POWER_TIMEOUT_MS });
      this.toasts.show(answer?.status === "success" ? "good" : "plain", answer?.message ?? "The command was accepted.");
    } catch (error) {
      if (!isSignedOut(error)) this.toasts.show("bad", words(error));
    } finally {
      this.store.update({ powering: false });
      this.#later(0);
    }
  }

  /**
   * The tasks that run now, for the dialog that names what a stop would hit.
   * @returns {Promise<{items: import("../types.js").Task[], next: string | null}>}
   */
  running() {
    return this.api.get("/scheduler/tasks/?status=running&limit=50");
  }

  /** Refreshes in `wait` ms, or earlier where that is planned already. @param {number} wait */
  #later(wait) {
    const due = Date.now() + wait;
    if (!this.#running || this.#due <= due) return;
    this.#clear();
    this.#due = due;
    this.#timer = setTimeout(() => this.refresh(), wait);
  }

  #clear() {
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }
}

/** Whether a host only says that it is still there. @param {import("../types.js").CeleryStatus | null} status @param {import("../types.js").Change} change */
function isHeartbeat(status, { kind, row }) {
  return kind === "host" && Boolean(status?.hosts.some((host) => host.name === row.name && host.state === row.state));
}
