/**
 * What is selected and what can be done with it; then how far that is, and what came of it.
 * @module
 */

import { counted, sentence } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { cancelFilter, chosen, isSelecting } from "../../model/selection.js";

/** @typedef {import("../../types.js").Bulk} Bulk */

/** Rows of the outcome that are shown. */
const SHOWN = 5;

export function SelectionBar() {
  const selection = useStore((state) => state.selection);
  const bulk = useStore((state) => state.bulk);
  if (bulk) return html`<section class="selection" aria-label="Cancel of many tasks" data-testid="bulk" data-phase=${bulk.phase}><${Course} bulk=${bulk} /></section>`;
  if (!isSelecting(selection)) return null;
  return html`<section class="selection" aria-label="Selected tasks" data-testid="selection"><${Chosen} selection=${selection} /></section>`;
}

/** @param {{selection: import("../../types.js").Selection}} props */
function Chosen({ selection }) {
  const { bulk, store } = useApp();
  const rows = useStore((state) => state.list.rows);
  const filter = useStore((state) => state.filter);
  const tasks = chosen(selection, rows);
  const over = selection.ids.size - tasks.length;
  const all = selection.matching;
  const matching = cancelFilter(filter);
  const none = !all && tasks.length === 0;
  const ask = () => !none && store.update({ dialog: { kind: "bulk" } });
  return html`
    <p class="selection-count" role="status" data-testid="selected">
      ${all ? html`<b>All ${all.matched.toLocaleString()}</b> that match now, ${all.running.toLocaleString()} of them running` : html`<b>${tasks.length.toLocaleString()}</b> selected`}
      ${!all && over > 0 && html`<span class="muted"> · ${over.toLocaleString()} ended meanwhile</span>`}
    </p>
    ${!all && html`<button
      class="button"
      data-testid="select-matching"
      aria-disabled=${matching ? undefined : "true"}
      title=${matching ? "Count what matches the filter now, beyond what is shown, too" : "Choose Pending or Running, or search for something: all of them would be every task."}
      onClick=${() => bulk.selectMatching()}
    >Select all that match</button>`}
    <button
      class="button danger solid"
      data-testid="cancel-selected"
      aria-disabled=${none ? "true" : undefined}
      title=${none ? "They are all over by now." : "Asks first"}
      onClick=${ask}
    >Cancel…</button>
    <button class="button" data-testid="select-none" onClick=${() => bulk.clear()}>Clear</button>
  `;
}

/** @param {{bulk: Bulk}} props */
function Course({ bulk }) {
  const { bulk: actions } = useApp();
  if (bulk.phase === "going") {
    return html`
      <p class="selection-count" role="status" data-testid="bulk-progress">Cancelling ${bulk.done.toLocaleString()} of ${bulk.total.toLocaleString()}</p>
      <progress max=${Math.max(1, bulk.total)} value=${bulk.done} aria-label="Tasks that are cancelled"></progress>
    `;
  }
  const others = bulk.answer?.tasks.filter(({ outcome }) => outcome !== "cancelled" && outcome !== "dropped") ?? [];
  return html`
    <div class="selection-count" role="status">
      <p data-testid="bulk-outcome">${sentence(bulk.answer?.message ?? bulk.error)}</p>
      ${others.length > 0 && html`<details><summary>${counted(others.length, "task")} not cancelled</summary><ul class="bulk-others">
        ${others.slice(0, SHOWN).map((task) => html`<li key=${task.task_id}><b>${task.name || task.task_id}</b> <span class="muted">${task.message}</span></li>`)}
        ${others.length > SHOWN && html`<li class="muted">and ${(others.length - SHOWN).toLocaleString()} more</li>`}
      </ul></details>`}
    </div>
    <button class="button" data-testid="bulk-close" onClick=${() => actions.dismiss()}>Close</button>
  `;
}
