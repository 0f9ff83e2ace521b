/**
 * The hosts and their processes, and the two buttons that stop and start them all.
 * @module
 */

import { useTicking } from "../core/clock.js";
import { capitalised, elapsed, fullTime, moment, spoken } from "../core/format.js";
import { useApp, useStore } from "../core/store.js";
import { html } from "../core/ui.js";
import { targets, toneOf } from "../model/processes.js";

/** @typedef {import("../types.js").Process} Process */

export function ProcessesView() {
  const status = useStore((state) => state.status);
  const error = useStore((state) => state.statusError);
  return html`
    <div class="view-title"><h1>Processes</h1><${Power} action="start" /><${Power} action="stop" /></div>
    ${error && html`<p class="problem panel" role="alert" data-testid="status-failed">${error}${status ? " What follows may be out of date." : ""}</p>`}
    ${!status && !error && html`<p class="empty muted">Loading…</p>`}
    ${status?.hosts.length === 0 && html`<div class="empty"><p><b>No hosts yet.</b></p><p class="muted">A host appears here as soon as its controller reports.</p></div>`}
    <div class="hosts ${error ? "stale" : ""}">${status?.hosts.map((host) => html`<${HostCard} key=${host.name} host=${host} />`)}</div>
  `;
}

/** @param {{action: "stop" | "start"}} props */
function Power({ action }) {
  const { store, toasts } = useApp();
  const refusal = useStore(({ session, status, powering }) => {
    if (session.user?.role === "viewer") return `Your role is viewer; ${action === "stop" ? "stopping" : "starting"} takes an operator or an admin.`;
    if (powering) return "A stop or start is under way.";
    if (targets(status, action).length === 0) return action === "stop" ? "Nothing runs." : "Everything is started.";
    return "";
  });
  const press = () => (refusal ? toasts.show("plain", refusal) : store.update({ dialog: { kind: action } }));
  return html`<button
    class="button ${action === "stop" ? "danger" : ""}"
    data-testid="${action}-celery"
    aria-disabled=${refusal ? "true" : undefined}
    title=${refusal || undefined}
    onClick=${press}
  >${capitalised(action)} Celery</button>`;
}

/** @param {{host: import("../types.js").Host}} props */
function HostCard({ host }) {
  return html`<section class="panel host" data-testid="host" data-host=${host.name} data-state=${host.state}>
    <header>
      <h2>${host.name}</h2>
      <span class="muted"><${Seen} at=${host.seen_at} state=${host.state} /></span>
    </header>
    ${host.processes.length === 0 && html`<p class="muted">No processes are configured on this host.</p>`}
    <ul class="processes">${host.processes.map((process) => html`<${ProcessRow} key=${process.name} process=${process} />`)}</ul>
  </section>`;
}

/** @param {{at: string | null, state: string}} props */
function Seen({ at, state }) {
  const seen = moment(at);
  const age = useTicking((clock) => (seen === null ? "" : elapsed(clock.now() - seen)));
  if (seen === null) return `${spoken(state)} · never heard of`;
  return html`<span title=${fullTime(at)}>${spoken(state)} · heard ${age} ago</span>`;
}

/** @param {{process: Process}} props */
function ProcessRow({ process }) {
  const wanted = process.desired && process.desired !== process.state && ["running", "stopped"].includes(process.state) ? `wanted: ${process.desired}` : "";
  return html`<li class="process" data-testid="process" data-name=${process.name} data-state=${process.state}>
    <span class="process-badge tone-${toneOf(process)}"><span class="lamp"></span><b>${capitalised(spoken(process.state))}</b></span>
    <span class="process-name"><b>${process.name}</b>${" "}<span class="muted">${process.kind}</span></span>
    <span class="process-facts muted">${process.pid ? `pid ${process.pid}` : ""}<${Since} at=${process.since} /></span>
    ${(process.message || wanted) && html`<span class="process-message">${[wanted, process.message].filter(Boolean).join(" · ")}</span>`}
  </li>`;
}

/** @param {{at: string | null}} props */
function Since({ at }) {
  const since = moment(at);
  const age = useTicking((clock) => (since === null ? "" : elapsed(clock.known() - since)));
  return since === null ? null : html`<span title=${fullTime(at)}>for ${age}</span>`;
}
