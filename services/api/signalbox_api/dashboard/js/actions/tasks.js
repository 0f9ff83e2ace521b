/**
 * What a person does with tasks: list, filter, look at one, cancel.
 * @module
 */

import { ApiError, isSignedOut, words } from "../core/api.js";
import { cancelAddress, queryOf, taskAddress, taskHash } from "../core/route.js";
import { isSelecting } from "../model/selection.js";
import { emptyPage } from "../model/state.js";
import { appended, applied, loadedList, PAGE_SIZE, settled } from "../model/task_list.js";
import { newest } from "../model/tasks.js";

/** @typedef {import("../types.js").Change} Change */
/** @typedef {import("../types.js").Task} Task */

/** The server waits up to 10 s for the proof; a little more lets its answer come through. */
const CANCEL_TIMEOUT_MS = 20_000;
/** Rows that the server gives in one answer at most. */
const MOST_AT_ONCE = 500;

export class TaskActions {
  /** Changes that come while something is loaded, by loading: the answer may be older than they are. @type {Set<Change[]>} */
  #recordings = new Set();
  #listing = 0;
  #paging = 0;

  /**
   * @param {import("../core/store.js").Store<import("../model/state.js").State>} store
   * @param {import("../core/api.js").Api} api
   * @param {import("../core/hold.js").Hold} hold
   * @param {import("./toasts.js").Toasts} toasts
   */
  constructor(store, api, hold, toasts) {
    this.store = store;
    this.api = api;
    this.hold = hold;
    this.toasts = toasts;
  }

  /** Loads the list's first page. @param {{quiet?: boolean}} [how]  Quiet: what is shown stays until the answer is there. */
  async reload({ quiet = false } = {}) {
    const turn = ++this.#listing;
    const { filter, list } = this.store.state;
    if (!quiet) this.store.update({ listing: { phase: "loading", error: "", more: false } });
    try {
      const [page, seen] = await this.#recorded(() => this.#pages(filter, quiet ? list.rows.length : 0));
      if (turn !== this.#listing) return;
      this.store.update({ list: loadedList(page.items, page.next), note: page.note, listing: { phase: "ready", error: "", more: false } });
      this.apply(seen);
    } catch (error) {
      if (turn === this.#listing && !isSignedOut(error)) this.store.update({ listing: { phase: "failed", error: words(error), more: false } });
    }
  }

  /** Loads the page that follows; where the tail was dropped, all pages up to there again. */
  async more() {
    const turn = ++this.#listing;
    const { filter, list } = this.store.state;
    this.store.update({ listing: { phase: "ready", error: "", more: true } });
    try {
      const wanted = list.trimmed ? list.rows.length + PAGE_SIZE : 0;
      const [page, seen] = await this.#recorded(() => this.#pages(filter, wanted, list.trimmed ? null : list.next));
      if (turn !== this.#listing) return;
      const now = this.store.state.list;
      const longer = list.trimmed ? loadedList(page.items, page.next) : appended(now, page.items, page.next);
      this.store.update({ list: longer, listing: { phase: "ready", error: "", more: false } });
      this.apply(seen);
    } catch (error) {
      if (turn !== this.#listing) return;
      this.store.update({ listing: { phase: "ready", error: "", more: false } });
      if (!isSignedOut(error)) this.toasts.show("bad", words(error));
    }
  }

  /** Loads one task and its logs for the task page. @param {string} id */
  async open(id) {
    const turn = ++this.#paging;
    const again = this.store.state.page.id === id && this.store.state.page.task !== null;
    if (!again) {
      const known = this.store.state.list.rows.find((task) => task.task_id === id) ?? null;
      this.store.update({ page: { ...emptyPage(id), task: known } });
    }
    const path = taskAddress(id);
    try {
      const [[found, logs], seen] = await this.#recorded(() => Promise.all([this.api.get(path), this.api.get(`${path}logs/`)]));
      if (turn !== this.#paging) return;
      const task = { ...found, task_id: found.task_key }; // as in live changes, whichever form of a long id was asked for
      this.store.update({ page: { id: task.task_id, phase: "ready", task, logs: logs.items ?? logs, error: "" } });
      this.apply(seen);
    } catch (error) {
      if (turn === this.#paging && !isSignedOut(error)) this.store.update({ page: { ...this.store.state.page, phase: "failed", error: words(error) } });
    }
  }

  /** Takes live changes into the list, the task page and the dialog. @param {Change[]} changes */
  apply(changes) {
    const tasks = changes.filter(({ kind }) => kind === "task").map(({ row }) => /** @type {Task} */ (row));
    const logs = changes.filter(({ kind }) => kind === "log").map(({ row }) => /** @type {import("../types.js").Log} */ (row));
    const { list, page, dialog, filter } = this.store.state;
    /** @type {Partial<import("../model/state.js").State>} */
    const patch = {};
    if (tasks.length > 0) patch.list = applied(list, tasks, { filter, held: this.held, now: Date.now() });
    const [of, ours] = [tasks.filter((one) => one.task_id === page.id), logs.filter((log) => log.task_id === page.id)];
    if (of.length > 0 || ours.length > 0) {
      patch.page = { ...page, task: newest(page.task, of), logs: withLogs(page.logs, ours) };
    }
    if (dialog?.kind === "cancel") {
      const hits = tasks.filter((one) => one.task_id === dialog.task.task_id);
      if (hits.length > 0) patch.dialog = { kind: "cancel", task: newest(dialog.task, hits) ?? dialog.task };
    }
    if (Object.keys(patch).length > 0) this.store.update(patch);
  }

  /** Notes changes for the loadings under way, then applies them. @param {Change[]} changes */
  receive(changes) {
    for (const seen of this.#recordings) seen.push(...changes);
    this.apply(changes);
  }

  /** Lets rows in and out that were held, once nothing holds them. @param {{force?: boolean}} [how] */
  settle({ force = false } = {}) {
    const { list } = this.store.state;
    const next = settled(list, { held: this.held && !force, now: Date.now() });
    if (next !== list) this.store.update({ list: next });
  }

  get held() {
    const { dialog, selection, bulk } = this.store.state;
    return this.hold.active || dialog !== null || isSelecting(selection) || bulk?.phase === "going";
  }

  /** @param {Task} task @param {string} reason */
  async cancel(task, reason) {
    this.#asked(task.task_id, true);
    try {
      const path = cancelAddress(task.task_id);
      const answer = await this.api.post(path, reason ? { reason } : {}, { timeout: CANCEL_TIMEOUT_MS });
      this.toasts.show(answer?.status === "success" ? "good" : "plain", answer?.message ?? `The cancel of ${task.name} was accepted.`);
    } catch (error) {
      if (!isSignedOut(error)) this.toasts.show("bad", words(error), this.#instead(error));
    } finally {
      this.#asked(task.task_id, false);
    }
  }

  /** Lets the id of a cancelled task run again. @param {Task} task */
  async allow(task) {
    try {
      const answer = await this.api.post(`${taskAddress(task.task_id)}allow/`, {}, { timeout: CANCEL_TIMEOUT_MS });
      this.toasts.show(answer?.status === "success" ? "good" : "plain", answer?.message ?? `${task.name} may run again.`);
    } catch (error) {
      if (!isSignedOut(error)) this.toasts.show("bad", words(error));
    }
  }

  /** The stop of a whole process, where nothing less ends a task. @param {unknown} error */
  #instead(error) {
    const scope = error instanceof ApiError ? error.answer?.instead : null;
    if (!scope) return null;
    return { words: `Stop ${scope.process}…`, act: () => this.store.update({ dialog: { kind: "power", action: "stop", scope } }) };
  }

  /** @param {string} id */
  go(id) {
    location.hash = taskHash(id);
  }

  /** @param {string} id @param {boolean} on */
  #asked(id, on) {
    const asked = new Set(this.store.state.asked);
    if (on) asked.add(id);
    else asked.delete(id);
    this.store.update({ asked });
  }

  /**
   * One page, or as many as it takes to have `wanted` rows.
   * @param {import("../types.js").Filter} filter
   * @param {number} wanted
   * @param {string | null} [after]
   * @returns {Promise<{items: Task[], next: string | null, note: string}>}
   */
  async #pages(filter, wanted, after = null) {
    /** @type {Task[]} */
    const items = [];
    let [next, note] = [after, ""];
    do {
      const query = new URLSearchParams(queryOf(filter));
      query.set("limit", String(Math.max(PAGE_SIZE, Math.min(MOST_AT_ONCE, wanted - items.length))));
      if (next) query.set("after", next);
      const page = await this.api.get(`/scheduler/tasks/?${query}`);
      items.push(...page.items);
      next = page.next ?? null;
      note = page.note ?? "";
    } while (next && items.length < wanted);
    return { items, next, note };
  }

  /**
   * Loads something, and keeps the changes that come meanwhile.
   * @template T
   * @param {() => Promise<T>} load
   * @returns {Promise<[T, Change[]]>}
   */
  async #recorded(load) {
    /** @type {Change[]} */
    const seen = [];
    this.#recordings.add(seen);
    try {
      return [await load(), seen];
    } finally {
      this.#recordings.delete(seen);
    }
  }
}

/** @param {import("../types.js").Log[]} logs @param {import("../types.js").Log[]} changed */
function withLogs(logs, changed) {
  if (changed.length === 0) return logs;
  const byId = new Map(logs.map((log) => [String(log.log_id), log]));
  for (const log of changed) byId.set(String(log.log_id), log);
  return [...byId.values()];
}
