/**
 * The question before many tasks are cancelled: how many, which, and how many of them run.
 * @module
 */

import { counted, shortId } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html, useState } from "../../core/ui.js";
import { chosen } from "../../model/selection.js";
import { Dialog } from "./dialog.js";
import { ReasonField, useButtonFocus } from "./reason_field.js";
import { StatusBadge } from "../tasks/task_parts.js";

/** @typedef {import("../../types.js").Selection} Selection */

const SHOWN = 6;

/** @param {{onClose: () => void}} props */
export function BulkDialog({ onClose }) {
  const { bulk } = useApp();
  const selection = useStore((state) => state.selection);
  const rows = useStore((state) => state.list.rows);
  const [reason, setReason] = useState("");
  const { count, running, first } = hit(selection, rows);
  const { confirm, keep } = useButtonFocus(count === 0);
  const kill = () => {
    if (count === 0) return;
    onClose();
    void bulk.cancel(reason.trim());
  };
  return html`<${Dialog} title="Cancel ${counted(count, "task")}?" testid="bulk-confirm" onClose=${onClose} onConfirm=${kill}>
    <ul class="hit-list" data-testid="bulk-hit">
      ${first.map(
        (task) => html`<li key=${task.task_id} class="bulk-hit">
          <b>${task.name}</b><span class="mono muted">${shortId(task.task_id)}</span>
          <${StatusBadge} of=${task} testid="bulk-hit-status" />
        </li>`,
      )}
      ${count > first.length && html`<li class="muted" data-testid="bulk-more">and ${(count - first.length).toLocaleString()} more</li>`}
    </ul>
    <p class="dialog-note" role="status" data-testid="bulk-note">${consequence(count, running, selection.matching !== null)}</p>
    <${ReasonField} value=${reason} onReason=${setReason} testid="bulk-reason" />
    <div class="dialog-buttons">
      <button type="button" class="button" ref=${keep} data-testid="bulk-keep" onClick=${onClose}>${count === 0 ? "Close" : "Keep them"}</button>
      <button class="button danger solid" ref=${confirm} disabled=${count === 0} data-testid="bulk-cancel">Cancel ${counted(count, "task")}</button>
    </div>
  <//>`;
}

/** @param {Selection} selection @param {readonly import("../../types.js").Task[]} rows */
function hit({ ids, matching, ...rest }, rows) {
  if (matching) return { count: matching.matched, running: matching.running, first: matching.sample.slice(0, SHOWN) };
  const tasks = chosen({ ids, matching, ...rest }, rows);
  return { count: tasks.length, running: tasks.filter((task) => task.status === "running").length, first: tasks.slice(0, SHOWN) };
}

/** @param {number} count @param {number} running @param {boolean} matching */
function consequence(count, running, matching) {
  if (count === 0) return "They are all over by now. There is nothing left to cancel.";
  const waiting = count - running;
  const parts = [
    running > 0 && `${running.toLocaleString()} ${running === 1 ? "runs: its process gets" : "run: their processes get"} TERM, and KILL if that does not end it.`,
    waiting > 0 && `${waiting.toLocaleString()} ${waiting === 1 ? "waits, and is" : "wait, and are"} dropped.`,
    matching && "What matches is looked up again at that moment.",
    "This cannot be undone.",
  ];
  return parts.filter(Boolean).join(" ");
}
