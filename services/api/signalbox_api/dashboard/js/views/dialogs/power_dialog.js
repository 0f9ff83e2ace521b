/**
 * The question before something is stopped, started or restarted. It names the hosts, the processes and the tasks that
 * would end, and goes on looking while it asks.
 * @module
 */

import { words } from "../../core/api.js";
import { capitalised, sentence } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html, useEffect, useState } from "../../core/ui.js";
import { areStopping, fate, named, targets, tasksOf } from "../../model/power.js";
import { Dialog } from "./dialog.js";
import { ReasonField, useFieldFocus, valueOf } from "./reason_field.js";

/** @typedef {import("../../types.js").Host} Host */
/** @typedef {import("../../types.js").Task} Task */

/** How often the running tasks are looked at while the question is open. */
const LOOK_MS = 2000;

const TEXTS = {
  stop: { hit: "This stops:", none: "Nothing runs any more.", keep: "Keep it running", style: "danger" },
  start: { hit: "This starts:", none: "Everything is started already.", keep: "Not now", style: "primary" },
  restart: { hit: "This restarts, one after the other:", none: "Nothing runs any more.", keep: "Keep it running", style: "danger" },
};

/**
 * @param {object} props
 * @param {import("../../types.js").Power} props.action
 * @param {import("../../types.js").Scope} props.scope
 * @param {string} [props.preset]  The mode that is chosen at first; by default graceful, unless that is under way already.
 * @param {() => void} props.onClose
 */
export function PowerDialog({ action, scope, preset, onClose }) {
  const { processes } = useApp();
  const hit = targets(useStore((state) => state.status), action, scope);
  const [mode, setMode] = useState(preset ?? (action === "stop" && areStopping(hit) ? "immediate" : "graceful"));
  const [seconds, setSeconds] = useState("");
  const [reason, setReason] = useState("");
  const field = useFieldFocus();
  const [texts, none, ends] = [TEXTS[action], hit.length === 0, action !== "start"];
  const title = `${capitalised(action)} ${named(scope)}${action === "stop" && mode === "immediate" ? " now" : ""}`;
  const confirm = () => {
    if (none) return;
    onClose();
    const time = ends && mode === "graceful" && seconds !== "" && { timeout: Number(seconds) };
    void processes.power(action, scope, { ...(ends && { mode }), ...time, ...(reason.trim() && { reason: reason.trim() }) });
  };
  return html`<${Dialog} title="${title}?" testid="power" onClose=${onClose} onConfirm=${confirm}>
    <p>${none ? texts.none : texts.hit}</p>
    <${Hit} hosts=${hit} />
    ${ends && !none && html`<${RunningTasks} hosts=${hit} host=${scope.host} mode=${mode} />`}
    ${ends && html`<${Modes} mode=${mode} onChoose=${setMode} seconds=${seconds} onTime=${setSeconds} />`}
    <${ReasonField} value=${reason} onReason=${setReason} testid="power-reason" place=${field} />
    <div class="dialog-buttons">
      <button type="button" class="button" data-testid="power-keep" onClick=${onClose}>${none ? "Close" : texts.keep}</button>
      <button class="button solid ${texts.style}" disabled=${none} data-testid="power-confirm">${title}</button>
    </div>
  <//>`;
}

/** @param {{hosts: Host[]}} props */
function Hit({ hosts }) {
  return html`<ul class="hit-list" data-testid="power-hit">
    ${hosts.map(
      (host) => html`<li key=${host.name}>
        <b>${host.name}</b>${": "}${host.processes.map((one) => (one.pid ? `${one.name} (pid ${one.pid})` : one.name)).join(", ")}
        ${host.state !== "online" && html`<p class="muted">Nothing is heard of it: it obeys only if it is back before the command expires, in a minute.</p>`}
      </li>`,
    )}
  </ul>`;
}

/** @param {{hosts: Host[], host: string, mode: string}} props */
function RunningTasks({ hosts, host, mode }) {
  const { processes } = useApp();
  const [seen, setSeen] = useState(/** @type {{items: Task[], next: string | null} | null} */ (null));
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const look = () =>
      processes.running(host).then(
        (page) => (setSeen(page), setProblem("")),
        (error) => setProblem(words(error)),
      );
    look();
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  const workers = hosts.some((one) => one.processes.some((process) => process.kind === "worker"));
  if (!workers) return null;
  const found = seen ? fate(tasksOf(seen.items, hosts), seen.next !== null, mode) : "Looking which tasks run…";
  const text = problem ? `Which tasks run now could not be found out. ${sentence(problem)}` : found;
  return html`<p class="dialog-note" role="status" data-testid="power-tasks">${text}</p>`;
}

/** @param {{mode: string, onChoose: (mode: string) => void, seconds: string, onTime: (seconds: string) => void}} props */
function Modes({ mode, onChoose, seconds, onTime }) {
  const choice = (/** @type {string} */ value, /** @type {string} */ label, /** @type {string} */ what) => html`<label>
    <input type="radio" name="mode" value=${value} checked=${mode === value} onChange=${() => onChoose(value)} /><span><b>${label}</b>${": "}${what}</span>
  </label>`;
  return html`<fieldset class="modes"><legend class="offscreen">How</legend>
    ${choice("graceful", "Graceful", "running tasks may finish, until the time is over")}
    ${
      mode === "graceful" &&
      html`<label class="field modes-time"><span>Seconds to finish <span class="muted">(empty: as configured)</span></span>
        <input type="number" name="timeout" min="0" max="3600" step="any" value=${seconds} data-testid="power-timeout"
          onInput=${(/** @type {InputEvent} */ event) => onTime(valueOf(event))} />
      </label>`
    }
    ${choice("immediate", "Immediate", "running tasks are killed now")}
  </fieldset>`;
}
