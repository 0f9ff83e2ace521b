/**
 * One row of the task list; on a phone the same row is a card.
 * @module
 */

import { taskHash } from "../../core/route.js";
import { Component, html } from "../../core/ui.js";
import { CancelButton, CancelProgress, CopyId, Outcome, Runtime, StatusBadge, Time } from "./task_parts.js";

/** @typedef {import("../../types.js").Task} Task */
/**
 * @typedef {{task: Task, selected: boolean, refusal: string, leaving: boolean, tabbable: boolean, onFocus: (id: string) => void,
 *   onSelect: (id: string, range: boolean) => void}} Props  `refusal` says why it cannot be selected.
 */

/** Renders again only when its task is another version: a storm of changes elsewhere costs it nothing. */
export class TaskRow extends Component {
  /** @type {{current: HTMLElement | null}} */
  #row = { current: null };

  /** @param {Props} next */
  shouldComponentUpdate(next) {
    const { task, selected, leaving, tabbable } = /** @type {Props} */ (this.props);
    return next.task !== task || next.selected !== selected || next.leaving !== leaving || next.tabbable !== tabbable;
  }

  /** The X goes when the task is over; a person who was on it stays on the row. */
  getSnapshotBeforeUpdate() {
    const row = this.#row.current;
    return row !== document.activeElement && row !== null && row.contains(document.activeElement);
  }

  /** @param {Props} _props @param {object} _state @param {boolean} hadFocus */
  componentDidUpdate(_props, _state, hadFocus) {
    const row = this.#row.current;
    if (hadFocus && !row?.contains(document.activeElement)) row?.focus();
  }

  render() {
    const { task, selected, refusal, leaving, tabbable, onFocus, onSelect } = /** @type {Props} */ (this.props);
    return html`<tr
      ref=${this.#row}
      role="row"
      class="row ${leaving ? "row-leaving" : ""}"
      tabindex=${tabbable ? 0 : -1}
      data-testid="task-row"
      data-task-id=${task.task_id}
      data-status=${task.status}
      aria-selected=${String(selected)}
      onfocusin=${() => onFocus(task.task_id)}
    >
      <td role="cell" class="c-select">
        <input
          type="checkbox"
          tabindex="-1"
          aria-label="Select ${task.name}"
          data-testid="select"
          checked=${selected}
          disabled=${refusal !== "" && !selected}
          title=${refusal || "Select; with Shift, all from the last one on"}
          onClick=${(/** @type {MouseEvent} */ event) => onSelect(task.task_id, event.shiftKey)}
        />
      </td>
      <td role="cell" class="c-status"><${StatusBadge} of=${task} /><${Outcome} of=${task} /></td>
      <td role="cell" class="c-task">
        <a class="task-name" href=${taskHash(task.task_id)} title=${task.celery_name ?? task.name} tabindex="-1">${task.name}</a>
        <span class="sub"><${CopyId} id=${task.task_id} />${" "}<${CancelProgress} task=${task} /><${Note} task=${task} /></span>
      </td>
      <td role="cell" class="c-where"><${Where} task=${task} /></td>
      <td role="cell" class="c-started"><${Time} at=${task.started_at} /></td>
      <td role="cell" class="c-finished"><${Time} at=${task.finished_at} /></td>
      <td role="cell" class="c-runtime"><${Runtime} task=${task} /></td>
      <td role="cell" class="c-cancel"><${CancelButton} task=${task} /></td>
    </tr>`;
  }
}

/** @param {{task: Task}} props */
function Note({ task }) {
  if (task.error) return html`<span class="error-line" title=${task.error} data-testid="task-error">${task.error}</span>`;
  return html`<span class="muted">${[task.queue, (task.attempt ?? 1) > 1 ? `attempt ${task.attempt}` : ""].filter(Boolean).join(" · ")}</span>`;
}

/** @param {{task: Task}} props */
function Where({ task }) {
  if (!task.host && !task.worker) return html`<span class="none">–</span>`;
  const beneath = [task.worker, task.pid ? `pid ${task.pid}` : ""].filter(Boolean).join(" · ");
  return html`<span class="where-host">${task.host ?? task.worker}</span><span class="sub muted">${beneath}</span>`;
}
