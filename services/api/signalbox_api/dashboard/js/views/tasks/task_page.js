/**
 * Everything about one task: fields, what happened to it and when, and a log for each attempt.
 * @module
 */

import { duration, fullTime, moment, preciseTime, pretty, time } from "../../core/format.js";
import { listHash } from "../../core/route.js";
import { useApp, useStore } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { allowRefusal, isOver, leftRunning, liveRuns, proofOf } from "../../model/tasks.js";
import { timelineOf } from "../../model/timeline.js";
import { BackIcon } from "../icons.js";
import { LogView } from "./log_view.js";
import { CancelButton, CancelProgress, CopyId, Outcome, Runtime, StatusBadge, Time } from "./task_parts.js";

/** @typedef {import("../../types.js").Task} Task */
/** @typedef {import("../../types.js").Log} Log */

export function TaskPage() {
  const { tasks } = useApp();
  const page = useStore((state) => state.page);
  const filter = useStore((state) => state.filter);
  const back = html`<a class="back" href=${listHash(filter)}><${BackIcon} />All tasks</a>`;
  if (!page.task) {
    return html`${back}<div class="empty" data-testid="task-missing">
      ${
        page.phase === "failed"
          ? html`<p role="alert"><b>${page.error}</b></p><button class="button" onClick=${() => tasks.open(page.id)}>Try again</button>`
          : html`<p class="muted">Loading…</p>`
      }
    </div>`;
  }
  const { task, logs } = page;
  return html`${back}<article class="page" data-testid="task-page" data-task-id=${task.task_id} data-status=${task.status}>
    <${Title} task=${task} />
    <${Runs} logs=${logs} />
    ${page.phase === "failed" && html`<p class="problem" role="alert">${page.error}</p>`}
    ${task.error && html`<p class="page-error" data-testid="task-error">${task.error}</p>`}
    ${leftRunning(task) && html`<p class="panel" data-testid="left-processes">This task ${leftRunning(task)}; Signalbox has not ended what it left.</p>`}
    <div class="page-columns">
      <section class="panel"><h2>Facts</h2><${Fields} task=${task} /></section>
      <section class="panel"><h2>Timeline</h2><${Timeline} task=${task} logs=${logs} /></section>
    </div>
    <${Arguments} task=${task} />
    <section><h2>Logs</h2><${Logs} logs=${logs} loading=${page.phase === "loading"} /></section>
  </article>`;
}

/** @param {{task: Task}} props */
function Title({ task }) {
  return html`<div class="page-title">
    <div class="page-name"><h1>${task.name}</h1><${CopyId} id=${task.task_id} full /></div>
    <div class="page-state">
      <${StatusBadge} of=${task} /><${Outcome} of=${task} /><${CancelProgress} task=${task} />
      <span class="page-runtime"><${Runtime} task=${task} /></span>
      <${CancelButton} task=${task} label="Cancel task" /><${AllowButton} task=${task} />
    </div>
  </div>`;
}

/** Several runs of one id at once: its message was sent or delivered more than once. @param {{logs: Log[]}} props */
function Runs({ logs }) {
  const runs = liveRuns(logs);
  if (runs.length < 2) return null;
  return html`<p class="problem" role="status" data-testid="runs-at-once">
    <b>${runs.length} runs at once.</b> A cancel ends all of them:${" "}
    ${runs.map((run, index) => html`${index > 0 && ", "}<span key=${run.log_id}>${[run.host, run.worker, run.pid && `pid ${run.pid}`].filter(Boolean).join(" · ")} since <${Time} at=${run.started_at} /></span>`)}
  </p>`;
}

/** Where its id was cancelled: every delivery of it is refused until somebody takes that back. @param {{task: Task}} props */
function AllowButton({ task }) {
  const { tasks, toasts } = useApp();
  const user = useStore((state) => state.session.user);
  if (!isOver(task) || task.outcome !== "cancelled") return null;
  const refusal = allowRefusal(user);
  return html`<button
    class="button"
    data-testid="allow"
    aria-disabled=${refusal ? "true" : undefined}
    title=${refusal || "Its id was cancelled: each delivery of it is refused until this is pressed. Nothing is started by it."}
    onClick=${() => (refusal ? toasts.show("plain", refusal) : tasks.allow(task))}
  >Allow it to run again</button>`;
}

/** @param {{task: Task}} props */
function Fields({ task }) {
  /** @type {[string, unknown][]} */
  const fields = [
    ["Task", task.celery_name ?? task.name],
    ...(task.full_id ? [/** @type {[string, unknown]} */ (["Whole id", task.full_id])] : []),
    ["Queue", task.queue],
    ["Host", task.host],
    ["Worker", task.worker],
    ["Process", task.pid && `pid ${task.pid}`],
    ["Attempt", task.attempt],
    ["Created", exact(task.created_at)],
    ["Started", exact(task.started_at)],
    ["Finished", exact(task.finished_at)],
    ["Cancel asked", exact(task.cancel_requested_at)],
    ["Proven", proofOf(task)],
  ];
  return html`<dl class="fields">
    ${fields.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value ?? html`<span class="none">–</span>`}</dd></div>`)}
  </dl>`;
}

/** @param {string | null} at */
function exact(at) {
  return at && html`<time datetime=${at} title=${fullTime(at)}>${preciseTime(at)}</time>`;
}

/** @param {{task: Task, logs: Log[]}} props */
function Timeline({ task, logs }) {
  const told = timelineOf(task, logs);
  return html`<ol class="timeline" data-testid="timeline">
    ${told.map((one, index) => {
      const before = moment(told[index - 1]?.at);
      const gap = before === null ? "" : `+${duration((moment(one.at) ?? before) - before)}`;
      return html`<li class="tone-${one.tone}" key=${`${one.title} ${one.at}`}>
        <span class="timeline-title">${one.title}${" "}<span class="muted">${one.detail}</span></span>
        <span class="timeline-at"><time datetime=${one.at} title=${fullTime(one.at)}>${time(one.at)}</time><span class="muted">${gap}</span></span>
      </li>`;
    })}
  </ol>`;
}

/** @param {{task: Task}} props */
function Arguments({ task }) {
  const [args, kwargs] = [pretty(task.args ?? []), pretty(task.kwargs ?? {})];
  return html`<section class="panel"><h2>Arguments</h2>
    <div class="arguments"><div><h3>args</h3><pre>${args}</pre></div><div><h3>kwargs</h3><pre>${kwargs}</pre></div></div>
  </section>`;
}

/** @param {{logs: Log[], loading: boolean}} props */
function Logs({ logs, loading }) {
  if (logs.length === 0) return html`<p class="muted panel">${loading ? "Loading…" : "No attempt has started yet."}</p>`;
  const newest = [...logs].sort((a, b) => (b.attempt ?? 0) - (a.attempt ?? 0) || (moment(b.started_at) ?? 0) - (moment(a.started_at) ?? 0));
  return html`<div class="logs">${newest.map((log) => html`<${LogView} key=${log.log_id} log=${log} />`)}</div>`;
}
