/**
 * One process: what it does, since when, why, and what can be done about it.
 * @module
 */

import { useTicking } from "../../core/clock.js";
import { capitalised, elapsed, fullTime, moment, spoken, time } from "../../core/format.js";
import { useApp } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { DOWN } from "../../model/overall.js";
import { standsBy, toneOf } from "../../model/processes.js";
import { lastState } from "../../model/vouching.js";
import { PowerButton } from "./power_button.js";

/** @typedef {import("../../types.js").Process} Process */

/** Why there are no buttons. */
const GUEST = "Not by Signalbox, which can cancel its tasks, but not stop or start it. Do that where it was launched: systemd, Kubernetes, a shell.";

/** Queues that are named; the others are in the title. */
const QUEUES = 4;

/** What the controller puts between the lines of a log that it quotes in a message (`logs/logfile.py`, `LINE_BREAK`). */
const LINE_BREAK = " | ";

/** @param {{host: import("../../types.js").Host, process: Process}} props */
export function ProcessRow({ host, process }) {
  const scope = { host: host.name, process: process.name };
  const standby = standsBy(process, host);
  const down = DOWN.includes(process.state);
  const word = standby ? "Standby" : capitalised(spoken(process.state));
  const wanted = process.desired && process.desired !== process.state && ["running", "stopped"].includes(process.state) ? `wanted: ${process.desired}` : "";
  return html`<li
    class="process"
    tabindex="0"
    data-testid="process"
    data-process="${host.name}/${process.name}"
    data-host=${host.name}
    data-name=${process.name}
    data-state=${process.state}
    data-configured=${process.configured !== false}
    data-outdated=${process.outdated ?? ""}
    aria-label="${process.name} on ${host.name}: ${word}"
  >
    <span class="process-badge tone-${standby ? "off" : toneOf(process)}"><span class="lamp"></span><b>${word}</b></span>
    <span class="process-name"><b>${process.name}</b>${" "}<span class="muted">${process.kind}</span></span>
    <span class="process-facts muted">${consumes(process)}${process.pid ? `pid ${process.pid}` : ""}${process.state !== "unknown" && html`<${Since} at=${process.since} />`}</span>
    <span class="process-buttons">
      ${
        process.guest
          ? html`<span class="muted" title=${GUEST} data-testid="guest">launched by others</span>`
          : html`<${Buttons} scope=${scope} process=${process} down=${down} standby=${standby} />`
      }
    </span>
    <${Message} text=${[standby ? "" : wanted, lastSeen(process), process.message].filter(Boolean).join(" · ")} />
    ${process.kill_at && html`<${Drain} scope=${scope} kind=${process.kind} at=${process.kill_at} />`}
  </li>`;
}

/** The queues of a worker. @param {Process} process */
function consumes(process) {
  const queues = process.queues ?? [];
  if (queues.length === 0) return null;
  const [shown, more] = [queues.slice(0, QUEUES), queues.length - QUEUES];
  const text = more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
  return html`<span data-testid="queues" title=${`consumes ${queues.join(", ")}`}>${text}</span>`;
}

/** How it was last seen, where nobody vouches for its state. @param {Process} process */
function lastSeen(process) {
  const last = lastState(process);
  if (process.state !== "unknown" || last === "unknown") return "";
  return `was ${spoken(last)}${process.confirmed_at ? ` at ${time(process.confirmed_at)}` : ""}`;
}

/** @param {{scope: import("../../types.js").Scope, process: Process, down: boolean, standby: boolean}} props */
function Buttons({ scope, process, down, standby }) {
  const action = down || process.state === "backoff" ? "start" : "restart";
  return html`
    ${process.configured !== false && html`<${PowerButton} action=${action} scope=${scope} small />`}
    ${(!down || standby) && !process.kill_at && html`<${PowerButton} action="stop" scope=${scope} small />`}
  `;
}

/** A message, or one that quotes the last lines of a log. @param {{text: string}} props */
function Message({ text }) {
  if (!text) return null;
  if (!text.includes(LINE_BREAK)) return html`<span class="process-message" data-testid="process-message">${text}</span>`;
  return html`<pre class="process-message process-log" data-testid="process-message">${text.replaceAll(LINE_BREAK, "\n")}</pre>`;
}

/** The time that its tasks still have, and a way not to wait for it. @param {{scope: import("../../types.js").Scope, kind: string, at: string}} props */
function Drain({ scope, kind, at }) {
  const { store } = useApp();
  const until = moment(at) ?? 0;
  const left = useTicking((clock) => elapsed(until - clock.known() + 999));
  const now = () => store.update({ dialog: { kind: "power", action: "stop", scope, mode: "immediate" } });
  return html`<span class="process-drain">
    <span role="timer" data-testid="drain" title=${fullTime(at)}>${kind === "worker" ? "Running tasks are killed in" : "Killed in"}${" "}<b>${left}</b></span>
    <${PowerButton} action="stop" scope=${scope} label="Stop now" testid="stop-now" onPress=${now} small />
  </span>`;
}

/** @param {{at: string | null}} props */
function Since({ at }) {
  const since = moment(at);
  const age = useTicking((clock) => (since === null ? "" : elapsed(clock.known() - since)));
  return since === null ? null : html`<span title=${fullTime(at)}>for ${age}</span>`;
}
