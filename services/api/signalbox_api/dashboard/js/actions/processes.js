/**
 * What a person does with processes: look at them, stop, start and restart them.
 * @module
 */

import { isSignedOut, words } from "../core/api.js";
import { addressed, powerKey } from "../model/power.js";
import { changedStatus } from "../model/processes.js";

/** No more often than this is the overall state asked for, however many changes come. */
const REFRESH_GAP_MS = 500;
/** Nobody publishes that nobody publishes; so look once in a while. */
const REFRESH_EVERY_MS = 5_000;
/** The server waits for a minute and for the time that the command gives tasks to finish; then it answers 202. */
const POWER_TIMEOUT_MS = 90_000;
/** Running tasks that a dialog looks at. */
const RUNNING = 500;

export class ProcessActions {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #due = Infinity;
  #running = false;
  /** The questions that were asked, and the latest whose answer is shown: they may come in another order. */
  #asked = 0;
  #shown = 0;

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
    const question = ++this.#asked;
    try {
      const status = await this.api.get("/scheduler/celery-status/");
      this.#show(question, { status, statusError: "" });
    } catch (error) {
      if (!isSignedOut(error)) this.#show(question, { statusError: words(error) });
    }
    this.#later(REFRESH_EVERY_MS);
  }

  /** @param {number} question @param {Partial<import("../model/state.js").State>} answer */
  #show(question, answer) {
    if (question < this.#shown) return;
    this.#shown = question;
    this.store.update(answer);
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
   * Stops, starts or restarts everything, a host, or a process.
   * @param {import("../types.js").Power} action
   * @param {import("../types.js").Scope} scope
   * @param {{mode?: string, timeout?: number, reason?: string}} how
   */
  async power(action, scope, how) {
    const key = powerKey(action, scope);
    this.#powering(key, true);
    try {
      const timeout = POWER_TIMEOUT_MS + (how.timeout ?? 0) * 1000;
      const answer = await this.api.post(`/scheduler/${action}-celery/`, { ...addressed(scope), ...how }, { timeout });
      this.toasts.show(answer?.status === "success" ? "good" : "plain", answer?.message ?? "The command was accepted.");
    } catch (error) {
      if (!isSignedOut(error)) this.toasts.show("bad", words(error));
    } finally {
      this.#powering(key, false);
      this.#later(0);
    }
  }

  /**
   * Forgets a host that has left for good.
   * @param {string} host
   * @param {{reason?: string}} how
   */
  async forget(host, how) {
    try {
      const answer = await this.api.post("/scheduler/forget-hosts/", { hosts: [host], ...how });
      this.toasts.show(answer?.status === "success" ? "good" : "plain", answer?.message ?? "The command was accepted.");
    } catch (error) {
      if (!isSignedOut(error)) this.toasts.show("bad", words(error));
    } finally {
      this.#later(0);
    }
  }

  /**
   * The tasks that run now, for the dialog that names what a stop would hit.
   * @param {string} host  Empty: on all of them.
   * @returns {Promise<{items: import("../types.js").Task[], next: string | null}>}
   */
  running(host) {
    const query = new URLSearchParams({ status: "running", limit: String(RUNNING), ...(host && { host }) });
    return this.api.get(`/scheduler/tasks/?${query}`);
  }

  /** @param {string} key @param {boolean} on */
  #powering(key, on) {
    const powering = new Set(this.store.state.powering);
    if (on) powering.add(key);
    else powering.delete(key);
    this.store.update({ powering });
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
  return kind === "host" && row !== null && Boolean(status?.hosts.some((host) => host.name === row.name && host.state === row.state));
}
