/**
 * The question before a task is killed. It names what will be hit, and goes on looking while it asks.
 * @module
 */

import { useTicking } from "../../core/clock.js";
import { elapsed, time } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html, useState } from "../../core/ui.js";
import { cancelRefusal, isOver, spanOf } from "../../model/tasks.js";
import { Dialog } from "./dialog.js";
import { ReasonField, useButtonFocus } from "./reason_field.js";
import { StatusBadge } from "../tasks/task_parts.js";

/** @typedef {import("../../types.js").Task} Task */

/** @param {{task: Task, onClose: () => void}} props  The task is the newest that is known of it. */
export function CancelDialog({ task, onClose }) {
  const { tasks, clock } = useApp();
  const user = useStore((state) => state.session.user);
  const asked = useStore((state) => state.asked.has(task.task_id));
  const refusal = useTicking(() => cancelRefusal(task, user, asked, clock.now()));
  const [reason, setReason] = useState("");
  const { confirm, keep } = useButtonFocus(refusal !== "");
  const kill = () => {
    if (refusal) return;
    onClose();
    void tasks.cancel(task, reason.trim());
  };
  const over = isOver(task);
  return html`<${Dialog} title="Cancel this task?" testid="confirm" onClose=${onClose} onConfirm=${kill}>
    <${Hit} task=${task} />
    <p class="dialog-note" role="status" data-testid="confirm-note">${refusal ? (over ? finished(task) : refusal) : consequence(task)}</p>
    ${!over && html`<${ReasonField} value=${reason} onReason=${setReason} testid="confirm-reason" />`}
    <div class="dialog-buttons">
      <button type="button" class="button" ref=${keep} data-testid="confirm-keep" onClick=${onClose}>${over ? "Close" : task.status === "running" ? "Keep it running" : "Keep it"}</button>
      <button class="button danger solid" ref=${confirm} disabled=${Boolean(refusal)} data-testid="confirm-cancel">Cancel task</button>
    </div>
  <//>`;
}

/** @param {{task: Task}} props */
function Hit({ task }) {
  const span = useTicking((clock) => {
    const ms = spanOf(task, clock.known());
    if (ms === null) return "";
    return `${clock.frozen && !isOver(task) ? "≥ " : ""}${elapsed(ms)}`;
  });
  const waits = task.status === "pending";
  return html`<dl class="hit">
    <div><dt>Task</dt><dd><b data-testid="confirm-name">${task.name}</b></dd></div>
    <div><dt>Id</dt><dd class="mono">${task.task_id}</dd></div>
    <div><dt>Host</dt><dd>${task.host ?? "–"}</dd></div>
    <div><dt>Process</dt><dd data-testid="confirm-pid">${task.pid ? `pid ${task.pid}` : "–"}</dd></div>
    <div><dt>${waits ? "Waiting" : isOver(task) ? "Ran" : "Running"}</dt><dd data-testid="confirm-runtime">${span || "–"}</dd></div>
    <div><dt>Status</dt><dd><${StatusBadge} of=${task} testid="confirm-status" /></dd></div>
  </dl>`;
}

/** @param {Task} task */
function consequence(task) {
  if (task.status === "pending") return "It has not started. It will be dropped wherever it waits, and marked as failed.";
  return "Its process gets TERM, and KILL if it does not end. The task is marked as failed once it is proven dead. This cannot be undone.";
}

/** @param {Task} task */
function finished(task) {
  const when = task.finished_at ? ` at ${time(task.finished_at)}` : "";
  return `It ${task.status === "completed" ? "completed" : "failed"}${when}, while this was open. There is nothing left to cancel.`;
}
