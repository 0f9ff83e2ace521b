/**
 * One attempt of a task, as its log tells it.
 * @module
 */

import { useTicking } from "../../core/clock.js";
import { duration, elapsed, moment } from "../../core/format.js";
import { html } from "../../core/ui.js";
import { Outcome, StatusBadge, Time } from "./task_parts.js";

/** @typedef {import("../../types.js").Log} Log */

/** @param {{log: Log}} props */
export function LogView({ log }) {
  const place = [log.host, log.worker, log.pid ? `pid ${log.pid}` : ""].filter(Boolean).join(" · ");
  return html`<article class="log panel" data-testid="log" data-log-id=${log.log_id} data-status=${log.status}>
    <header>
      <b>Attempt ${log.attempt ?? "?"}</b><${StatusBadge} of=${log} testid="log-status" /><${Outcome} of=${log} />
      <span class="muted">${place}</span>
      <span class="log-times"><${Time} at=${log.started_at} /> – <${Time} at=${log.finished_at} /> · <${Span} log=${log} /></span>
    </header>
    ${log.error && html`<p class="error-line" data-testid="log-error">${log.error}</p>`}
    ${log.traceback && html`<pre data-testid="traceback" tabindex="0" aria-label="Traceback">${log.traceback}</pre>`}
  </article>`;
}

/** @param {{log: Log}} props */
function Span({ log }) {
  const from = moment(log.started_at);
  const until = moment(log.finished_at);
  return useTicking((clock) => {
    if (from === null) return "not started";
    return until === null ? `${clock.frozen ? "≥ " : ""}${elapsed(clock.known() - from)}` : duration(until - from);
  });
}
