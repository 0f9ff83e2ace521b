/**
 * The small parts that a row, a card and the task page share: badge, id, times, running time, progress of a cancel, the red X.
 * @module
 */

import { useTicking } from "../../core/clock.js";
import { capitalised, duration, elapsed, fullTime, shortId, spoken, time } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { cancelProgress, cancelRefusal, isCancelling, isOver, spanOf } from "../../model/tasks.js";
import { copyText } from "../../core/clipboard.js";
import { CopyIcon, CrossIcon, StatusGlyph } from "../icons.js";

/** @typedef {import("../../types.js").Task} Task */

/** @param {{of: {status: string, confirmed?: boolean}, testid?: string}} props */
export function StatusBadge({ of, testid = "task-status" }) {
  const unsure = of.confirmed === false;
  return html`<span
    class="badge badge-${of.status} ${unsure ? "badge-unsure" : ""}"
    data-testid=${testid}
    data-status=${of.status}
    data-confirmed=${String(!unsure)}
    title=${unsure ? "Nobody saw this; it was inferred and is corrected when the truth arrives." : undefined}
  ><${StatusGlyph} status=${of.status} />${capitalised(of.status)}</span>`;
}

/** What the status alone does not tell: the outcome, and whether anybody saw it. @param {{of: {status: string, outcome?: string | null, confirmed?: boolean, vouched_at?: string | null}}} props */
export function Outcome({ of }) {
  const said = of.outcome && !["succeeded", "error"].includes(of.outcome) ? spoken(of.outcome) : "";
  const since = of.status === "pending" && of.vouched_at ? ` since ${time(of.vouched_at)}` : "";
  const words = [said, of.confirmed === false ? `not confirmed${since}` : ""].filter(Boolean);
  return words.length > 0 && html`<span class="outcome" data-testid="task-outcome">${words.join(" · ")}</span>`;
}

/** @param {{id: string, full?: boolean}} props */
export function CopyId({ id, full = false }) {
  const { toasts } = useApp();
  /** @param {Event} event */
  const copy = async (event) => {
    event.stopPropagation();
    const copied = await copyText(id);
    toasts.show(copied ? "good" : "bad", copied ? `Copied ${id}` : `This browser does not let the page copy. The id is ${id}`);
  };
  return html`<button class="copy mono" title="Copy ${id}" aria-label="Copy id ${id}" data-testid="copy-id" tabindex=${full ? 0 : -1} onClick=${copy}>
    ${full ? id : shortId(id)}<${CopyIcon} />
  </button>`;
}

/** @param {{at: string | null}} props */
export function Time({ at }) {
  return at ? html`<time datetime=${at} title=${fullTime(at)}>${time(at)}</time>` : html`<span class="none">–</span>`;
}

/** How long it took, takes (ticking) or has waited. When the page is not live this stops, for nobody knows. @param {{task: Task}} props */
export function Runtime({ task }) {
  const text = useTicking((clock) => {
    const span = spanOf(task, clock.known());
    if (span === null) return "";
    if (isOver(task)) return duration(span);
    const unsure = clock.frozen ? "≥ " : "";
    return `${unsure}${elapsed(span)}`;
  });
  const waits = task.status === "pending";
  return html`<span class=${waits ? "muted" : ""} data-testid="runtime">${waits && text ? `waiting ${text}` : text}</span>`;
}

/** `Cancelling… TERM, KILL in 4 s`, or nothing. @param {{task: Task}} props */
export function CancelProgress({ task }) {
  const asked = useStore((state) => state.asked.has(task.task_id));
  const going = isCancelling(task);
  const text = useTicking((clock) => (going ? cancelProgress(task, clock.known()) : asked && !isOver(task) ? "Cancelling…" : ""));
  return text && html`<span class="cancelling" data-testid="task-cancelling">${text}</span>`;
}

/** The red X. Where it may not be used it can still be focused, and says why. @param {{task: Task, label?: string}} props */
export function CancelButton({ task, label = "" }) {
  const { store, clock, toasts } = useApp();
  const user = useStore((state) => state.session.user);
  const asked = useStore((state) => state.asked.has(task.task_id));
  const refusal = useTicking(() => cancelRefusal(task, user, asked, clock.now()));
  if (isOver(task)) return null;
  /** @param {Event} event */
  const press = (event) => {
    event.stopPropagation();
    if (refusal) toasts.show("plain", refusal);
    else store.update({ dialog: { kind: "cancel", task } });
  };
  return html`<button
    class=${label ? "button danger" : "cancel"}
    data-testid="cancel"
    aria-label=${refusal ? `Cancel ${task.name}: not now. ${refusal}` : `Cancel ${task.name}`}
    aria-disabled=${refusal ? "true" : undefined}
    title=${refusal || "Cancel this task"}
    onClick=${press}
  ><${CrossIcon} />${label}</button>`;
}
