/**
 * What a person does with many tasks at once: select, count, cancel.
 * @module
 */

import { isSignedOut, words } from "../core/api.js";
import { allShown, cancelFilter, chosen, emptySelection, extended, toggled } from "../model/selection.js";

const PATH = "/scheduler/cancel-tasks/";
/** The server waits up to 30 s for the proof and 5 s for the record; a little more lets its answer come through. */
const CANCEL_TIMEOUT_MS = 60_000;

export class BulkActions {
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

  /** Takes a row in or out, or all from the last one to it. @param {string} id @param {{range?: boolean}} [how] */
  select(id, { range = false } = {}) {
    const { selection, list } = this.store.state;
    this.#selected(range ? extended(selection, list.rows, id) : toggled(selection, id));
  }

  /** Takes in every row that is shown, or none. */
  selectShown() {
    const { selection, list } = this.store.state;
    this.#selected(allShown(selection, list.rows));
  }

  clear() {
    this.#selected(emptySelection());
  }

  /** Puts away what came of the last one. */
  dismiss() {
    this.store.update({ bulk: null });
  }

  /** Counts what matches the filter now, and selects it. */
  async selectMatching() {
    const filter = cancelFilter(this.store.state.filter);
    if (!filter) return;
    try {
      const matching = await this.api.post(PATH, { filter, dry_run: true });
      if (matching.matched === 0) this.toasts.show("plain", "Nothing matches any more.");
      else this.#selected({ ...this.store.state.selection, matching: { ...matching, filter } });
    } catch (error) {
      if (!isSignedOut(error)) this.toasts.show("bad", words(error));
    }
  }

  /** Cancels what is selected, and follows how far it is. @param {string} reason */
  async cancel(reason) {
    const { selection, list } = this.store.state;
    const ids = chosen(selection, list.rows).map((task) => task.task_id);
    const total = selection.matching?.matched ?? ids.length;
    const which = selection.matching ? { filter: selection.matching.filter } : { task_ids: ids };
    this.store.update({ bulk: { phase: "going", done: 0, total, answer: null, error: "" }, selection: emptySelection() });
    try {
      const body = { ...which, ...(reason && { reason }) };
      const answer = await this.api.follow(PATH, body, (done, all) => this.#told({ done, total: all }), { timeout: CANCEL_TIMEOUT_MS });
      this.#told({ phase: "done", done: answer.tasks.length, total: answer.tasks.length, answer });
    } catch (error) {
      if (isSignedOut(error)) this.dismiss();
      else this.#told({ phase: "failed", error: words(error) });
    }
  }

  /** @param {import("../types.js").Selection} selection */
  #selected(selection) {
    this.store.update({ selection });
  }

  /** @param {Partial<import("../types.js").Bulk>} news */
  #told(news) {
    const { bulk } = this.store.state;
    if (bulk) this.store.update({ bulk: { ...bulk, ...news } });
  }
}
