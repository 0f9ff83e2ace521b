/**
 * The hosts and their processes, and what stops, starts and restarts all of them or those of a host.
 * @module
 */

import { useTicking } from "../../core/clock.js";
import { capitalised, elapsed, fullTime, moment, sentence, spoken, time } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { inOrder, toneOf } from "../../model/processes.js";
import { roleRefusal } from "../../model/roles.js";
import { useStatus } from "../frame/connection.js";
import { PowerButton } from "./power_button.js";
import { ProcessRow } from "./process_row.js";

export function ProcessesView() {
  const status = useStatus();
  const error = useStore((state) => state.statusError);
  return html`
    <div class="view-title">
      <h1>Processes</h1>
      <${PowerButton} action="start" label="Start Celery" testid="start-celery" />
      <${PowerButton} action="restart" label="Restart Celery" testid="restart-celery" />
      <${PowerButton} action="stop" label="Stop Celery" testid="stop-celery" />
    </div>
    ${error && html`<p class="problem panel" role="alert" data-testid="status-failed">${sentence(error)}${status ? " What follows may be out of date." : ""}</p>`}
    ${!status && !error && html`<p class="empty muted">Loading…</p>`}
    ${status?.hosts.length === 0 && html`<div class="empty"><p><b>No hosts yet.</b></p><p class="muted">A host appears here as soon as its controller reports.</p></div>`}
    <div class="hosts ${error ? "stale" : ""}">${inOrder(status?.hosts ?? []).map((host) => html`<${HostCard} key=${host.name} host=${host} />`)}</div>
  `;
}

/** @type {Record<string, string>} What a verified cancel proves on a host. */
const PROOFS = { cgroup: "proof by the kernel", search: "proof by a search" };

/** @param {{host: import("../../types.js").Host}} props */
function HostCard({ host }) {
  const scope = { host: host.name, process: "" };
  return html`<section class="panel host" data-testid="host" data-host=${host.name} data-state=${host.state}>
    <header>
      <h2>${host.name}</h2>
      <span
        class="process-badge tone-${toneOf({ state: host.celery })}"
        data-testid="host-badge"
        data-state=${host.celery}
      ><span class="lamp"></span><b>${capitalised(host.celery)}</b></span>
      <span class="muted host-seen"><${Seen} at=${host.seen_at} state=${host.state} /></span>
      ${host.proof && html`<span class="muted" data-testid="host-proof" data-proof=${host.proof} title=${host.proof_detail ?? ""}>${PROOFS[host.proof] ?? host.proof}</span>`}
      ${Boolean(host.clock_ahead) && html`<span class="process-badge tone-unsure" data-testid="host-clock" title="Times are shown corrected, by the clock of Redis">clock ${Math.abs(host.clock_ahead ?? 0).toFixed()} s ${(host.clock_ahead ?? 0) > 0 ? "ahead" : "behind"}</span>`}
      <span class="process-buttons">
        <${PowerButton} action="start" scope=${scope} testid="start-host" small />
        <${PowerButton} action="restart" scope=${scope} testid="restart-host" small />
        <${PowerButton} action="stop" scope=${scope} testid="stop-host" small />
        ${host.state !== "online" && html`<${ForgetButton} host=${host.name} />`}
      </span>
    </header>
    ${host.processes.length === 0 && html`<p class="muted">No processes are configured on this host.</p>`}
    <ul class="processes">${inOrder(host.processes).map((process) => html`<${ProcessRow} key=${process.name} host=${host} process=${process} />`)}</ul>
  </section>`;
}

/** @param {{host: string}} props */
function ForgetButton({ host }) {
  const { store, toasts } = useApp();
  const refusal = useStore(({ session }) => roleRefusal(session.user, "forgetting"));
  return html`<button
    class="button small"
    data-testid="forget-host"
    aria-label="Forget ${host}"
    aria-disabled=${refusal ? "true" : undefined}
    title=${refusal || "It has left for good"}
    onClick=${() => (refusal ? toasts.show("plain", refusal) : store.update({ dialog: { kind: "forget", host } }))}
  >Forget</button>`;
}

/** @param {{at: string | null, state: string}} props */
function Seen({ at, state }) {
  const seen = moment(at);
  const heard = useTicking((clock) => (seen === null ? "" : clock.frozen ? `last heard ${time(at)}` : `heard ${elapsed(clock.now() - seen)} ago`));
  if (seen === null) return `${spoken(state)} · never heard of`;
  return html`<span title=${fullTime(at)}>${spoken(state)} · ${heard}</span>`;
}
