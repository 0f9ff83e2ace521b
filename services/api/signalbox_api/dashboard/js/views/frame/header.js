/**
 * The header: where one is, the three process badges, how live the page is, who is signed in.
 * @module
 */

import { capitalised, spoken } from "../../core/format.js";
import { listHash, PROCESSES_HASH } from "../../core/route.js";
import { useApp, useStore } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { words } from "../../core/api.js";
import { toneOf } from "../../model/processes.js";
import { ConnectionBadge, useDoubt } from "./connection.js";
import { Mark } from "../icons.js";

/** @param {{view: string}} props */
export function Header({ view }) {
  const status = useStore((state) => state.status);
  const filter = useStore((state) => state.filter);
  const failed = useStore((state) => state.statusError);
  const doubt = useDoubt();
  const error = failed || doubt;
  const celery = error ? "unknown" : (status?.celery ?? "unknown");
  return html`<header class="header">
    <a class="brand" href=${listHash(filter)}><${Mark} tone=${toneOf({ state: celery })} /><span>Signalbox</span></a>
    <nav class="nav" aria-label="Views">
      <a href=${listHash(filter)} aria-current=${view === "processes" ? undefined : "page"}>Tasks</a>
      <a href=${PROCESSES_HASH} aria-current=${view === "processes" ? "page" : undefined}>Processes</a>
    </nav>
    <div class="badges" role="group" aria-label="Process states" aria-live="polite">
      <${ProcessBadge} name="celery" state=${celery} error=${error} />
      <${ProcessBadge} name="worker" state=${error ? "unknown" : (status?.worker ?? "unknown")} error=${error} />
      <${ProcessBadge} name="beat" state=${error ? "unknown" : (status?.beat ?? "unknown")} error=${error} />
    </div>
    <${ConnectionBadge} />
    <${Who} />
  </header>`;
}

/** @param {{name: string, state: string, error: string}} props */
function ProcessBadge({ name, state, error }) {
  return html`<a
    class="process-badge tone-${toneOf({ state })}"
    href=${PROCESSES_HASH}
    title=${error || undefined}
    data-testid="badge-${name}"
    data-state=${state}
  ><span class="lamp"></span><span class="process-badge-name">${capitalised(name)}</span>${" "}<b>${capitalised(spoken(state))}</b></a>`;
}

function Who() {
  const { session, store, toasts } = useApp();
  const user = useStore((state) => state.session.user);
  const out = () => session.signOut().catch((error) => toasts.show("bad", words(error)));
  return html`<div class="who">
    <span class="who-name" data-testid="who">${user?.name}${" "}<span class="muted">${user?.role}</span></span>
    <button class="button quiet small" onClick=${out} data-testid="sign-out">Sign out</button>
    <button
      class="button quiet small key-help"
      aria-label="Keyboard shortcuts"
      title="Keyboard shortcuts (?)"
      onClick=${() => store.update({ dialog: { kind: "help" } })}
    >?</button>
  </div>`;
}
