/**
 * The task list.
 * @module
 */

import { counted } from "../../core/format.js";
import { listHash } from "../../core/route.js";
import { useApp, useStore } from "../../core/store.js";
import { html, useLayoutEffect, useMemo, useRef, useState } from "../../core/ui.js";
import { roleRefusal } from "../../model/roles.js";
import { selectRefusal } from "../../model/selection.js";
import { hasMore } from "../../model/task_list.js";
import { isOver } from "../../model/tasks.js";
import { Filters } from "./filters.js";
import { SelectionBar } from "./selection_bar.js";
import { TaskRow } from "./task_row.js";

/** Where the person was in the list, so that coming back from a task leads there. */
const place = { focused: "", scrollY: 0 };

export function TasksView() {
  const list = useStore((state) => state.list);
  const listing = useStore((state) => state.listing);
  const note = useStore((state) => state.note);
  const shown = list.rows.length > 0;
  return html`
    <h1 class="offscreen">Tasks</h1>
    <${Filters} />
    <${Waiting} count=${list.waiting.size} />
    ${note && html`<p class="muted" role="status" data-testid="search-note">${note}.</p>`}
    ${listing.phase === "failed" && html`<${Failed} error=${listing.error} />`}
    ${shown && html`<${Rows} list=${list} loading=${listing.phase === "loading"} />`}
    ${!shown && listing.phase !== "failed" && html`<${Empty} loading=${listing.phase === "loading"} />`}
    ${shown && html`<${Foot} list=${list} busy=${listing.more} />`}
    <${SelectionBar} />
  `;
}

/** @param {{list: import("../../types.js").TaskList, loading: boolean}} props */
function Rows({ list, loading }) {
  const { hold, bulk } = useApp();
  const selected = useStore((state) => state.selection.ids);
  const user = useStore((state) => state.session.user);
  const refusal = roleRefusal(user, "cancelling");
  const open = list.rows.filter((task) => !isOver(task));
  const every = open.length > 0 && open.every((task) => selected.has(task.task_id));
  const table = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    if (table.current) return remember(hold.watch(table.current), table.current);
    return undefined;
  }, [hold]);
  const [focused, setFocused] = useState(place.focused);
  const known = list.rows.some((task) => task.task_id === focused);
  const tabbable = known ? focused : list.rows[0]?.task_id;
  const onFocus = (/** @type {string} */ id) => setFocused((place.focused = id));
  const onSelect = useMemo(() => (/** @type {string} */ id, /** @type {boolean} */ range) => bulk.select(id, { range }), [bulk]);
  return html`<table ref=${table} class="rows ${loading ? "rows-old" : ""}" role="table" aria-label="Tasks, newest first" aria-busy=${String(loading)}>
    <thead role="rowgroup"><tr role="row">
      <th role="columnheader" class="c-select"><input type="checkbox" aria-label="Select all shown" data-testid="select-shown"
        checked=${every} indeterminate=${selected.size > 0 && !every} disabled=${refusal !== "" || open.length === 0}
        title=${refusal || "Select all shown"} onClick=${() => bulk.selectShown()} /></th>
      <th role="columnheader" class="c-status">Status</th>
      <th role="columnheader" class="c-task">Task</th>
      <th role="columnheader" class="c-where">Host</th>
      <th role="columnheader" class="c-started">Started</th>
      <th role="columnheader" class="c-finished">Finished</th>
      <th role="columnheader" class="c-runtime">Runtime</th>
      <th role="columnheader" class="c-cancel"><span class="offscreen">Cancel</span></th>
    </tr></thead>
    <tbody role="rowgroup">${list.rows.map(
      (task) => html`<${TaskRow}
        key=${task.task_id}
        task=${task}
        selected=${selected.has(task.task_id)}
        refusal=${selectRefusal(task, user)}
        leaving=${list.leaving.has(task.task_id)}
        tabbable=${task.task_id === tabbable}
        onFocus=${onFocus}
        onSelect=${onSelect}
      />`,
    )}</tbody>
  </table>`;
}

/** Goes back to the row and the height that were left. @param {() => void} unwatch @param {HTMLElement} table */
function remember(unwatch, table) {
  window.scrollTo(0, place.scrollY);
  if (place.focused) {
    const row = table.querySelector(`[data-task-id="${CSS.escape(place.focused)}"]`);
    if (row instanceof HTMLElement && document.activeElement === document.body) row.focus({ preventScroll: true });
  }
  const note = () => (place.scrollY = window.scrollY);
  window.addEventListener("scroll", note, { passive: true });
  return () => {
    window.removeEventListener("scroll", note);
    unwatch();
  };
}

/** @param {{count: number}} props */
function Waiting({ count }) {
  const { tasks } = useApp();
  if (count === 0) return null;
  const show = () => {
    window.scrollTo(0, 0);
    tasks.settle({ force: true });
  };
  return html`<div class="waiting"><button class="pill" data-testid="waiting" onClick=${show}>Show ${counted(count, "new task")}</button></div>`;
}

/** @param {{list: import("../../types.js").TaskList, busy: boolean}} props */
function Foot({ list, busy }) {
  const { tasks } = useApp();
  return html`<div class="foot">
    <span class="muted" data-testid="shown">${counted(list.rows.length, "task")} shown, newest first</span>
    ${hasMore(list) && html`<button class="button" data-testid="load-more" disabled=${busy} onClick=${() => tasks.more()}>${busy ? "Loading…" : "Load more"}</button>`}
  </div>`;
}

/** @param {{loading: boolean}} props */
function Empty({ loading }) {
  const filter = useStore((state) => state.filter);
  if (loading) return html`<div class="empty" data-testid="loading" aria-busy="true"><p class="muted">Loading…</p></div>`;
  if (filter.status || filter.q) {
    const wanted = [filter.status && `is ${filter.status}`, filter.q && `has “${filter.q}” in its name, id, error or arguments`].filter(Boolean).join(" and ");
    return html`<div class="empty" data-testid="empty-match">
      <p><b>Nothing matches.</b></p>
      <p class="muted">No task ${wanted}. What comes to match appears here by itself.</p>
      <a class="button" href=${listHash({ status: "", q: "" })}>Show all tasks</a>
    </div>`;
  }
  return html`<div class="empty" data-testid="empty-none">
    <p><b>No tasks yet.</b></p>
    <p class="muted">As soon as a worker of this Signalbox receives one, it appears here by itself.</p>
  </div>`;
}

/** @param {{error: string}} props */
function Failed({ error }) {
  const { tasks } = useApp();
  return html`<div class="empty" role="alert" data-testid="list-failed">
    <p><b>The tasks could not be loaded.</b></p>
    <p>${error}</p>
    <button class="button" onClick=${() => tasks.reload()}>Try again</button>
  </div>`;
}
