/**
 * The question before Celery is stopped or started. It names the hosts and processes, and the tasks that would end.
 * @module
 */

import { words } from "../core/api.js";
import { counted } from "../core/format.js";
import { useApp, useStore } from "../core/store.js";
import { html, useEffect, useRef, useState } from "../core/ui.js";
import { targets } from "../model/processes.js";
import { Dialog } from "./dialog.js";

const NAMED = 5;

/** @param {{action: "stop" | "start", onClose: () => void}} props */
export function PowerDialog({ action, onClose }) {
  const { processes } = useApp();
  const status = useStore((state) => state.status);
  const [mode, setMode] = useState("graceful");
  const [reason, setReason] = useState("");
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.focus(), []);
  const hit = targets(status, action);
  const [stop, none] = [action === "stop", hit.length === 0];
  const confirm = () => {
    if (none) return;
    onClose();
    void processes.power(action, { ...(stop && { mode }), ...(reason.trim() && { reason: reason.trim() }) });
  };
  return html`<${Dialog} title=${stop ? "Stop Celery?" : "Start Celery?"} testid="power" onClose=${onClose} onConfirm=${confirm}>
    <p>${none ? (stop ? "Nothing runs any more." : "Everything is started already.") : stop ? "This stops:" : "This starts:"}</p>
    <${Hit} hosts=${hit} />
    ${stop && html`<${RunningTasks} /><${Modes} mode=${mode} onChoose=${setMode} />`}
    <label class="field"><span>Reason <span class="muted">(optional, goes on the audit trail)</span></span>
      <input ref=${field} name="reason" maxlength="500" value=${reason} autocomplete="off" data-testid="power-reason"
        onInput=${(/** @type {InputEvent} */ event) => setReason(/** @type {HTMLInputElement} */ (event.currentTarget).value)} />
    </label>
    <div class="dialog-buttons">
      <button type="button" class="button" data-testid="power-keep" onClick=${onClose}>${stop ? "Keep it running" : "Not now"}</button>
      <button class="button solid ${stop ? "danger" : "primary"}" disabled=${none} data-testid="power-confirm">${stop ? "Stop Celery" : "Start Celery"}</button>
    </div>
  <//>`;
}

/** @param {{hosts: import("../types.js").Host[]}} props */
function Hit({ hosts }) {
  return html`<ul class="hit-list" data-testid="power-hit">
    ${hosts.map(
      (host) => html`<li key=${host.name}><b>${host.name}</b>${": "}${host.processes.map((one) => (one.pid ? `${one.name} (pid ${one.pid})` : one.name)).join(", ")}</li>`,
    )}
  </ul>`;
}

function RunningTasks() {
  const { processes } = useApp();
  const [text, setText] = useState("Looking which tasks run…");
  useEffect(() => {
    processes.running().then(
      ({ items, next }) => setText(named(items.map((task) => task.name), next !== null)),
      (error) => setText(`Which tasks run now could not be found out. ${words(error)}`),
    );
  }, []);
  return html`<p class="dialog-note" data-testid="power-tasks">${text}</p>`;
}

/** @param {string[]} names @param {boolean} more  Whether there are more than these. */
function named(names, more) {
  if (names.length === 0) return "No task runs at this moment.";
  const rest = names.length - NAMED;
  const list = rest > 0 ? `${names.slice(0, NAMED).join(", ")} and ${rest}${more ? " or more" : ""} others` : names.join(", ");
  return `${more ? "More than " : ""}${counted(names.length, "task")} running now: ${list}. What does not finish in time is marked as failed.`;
}

/** @param {{mode: string, onChoose: (mode: string) => void}} props */
function Modes({ mode, onChoose }) {
  /** @type {[string, string, string][]} */
  const modes = [
    ["graceful", "Graceful", "running tasks may finish, up to the stop time-out"],
    ["immediate", "Immediate", "running tasks are killed now"],
  ];
  return html`<fieldset class="modes"><legend class="offscreen">How</legend>
    ${modes.map(
      ([value, label, what]) => html`<label key=${value}>
        <input type="radio" name="mode" value=${value} checked=${mode === value} onChange=${() => onChoose(value)} /><span><b>${label}</b>${": "}${what}</span>
      </label>`,
    )}
  </fieldset>`;
}
