/**
 * The reason that a person may give with a command, and where the focus is in the question before it.
 * @module
 */

import { html, useLayoutEffect, useRef } from "../../core/ui.js";

/** @typedef {{current: HTMLElement | null}} Place */

/** @param {{value: string, onReason: (reason: string) => void, testid: string, place?: Place}} props  `place` finds the field. */
export function ReasonField({ value, onReason, testid, place }) {
  return html`<label class="field">
    <span>Reason <span class="muted">(optional, goes on the audit trail)</span></span>
    <input
      ref=${place}
      name="reason"
      maxlength="500"
      value=${value}
      autocomplete="off"
      data-testid=${testid}
      onInput=${(/** @type {InputEvent} */ event) => onReason(valueOf(event))}
    />
  </label>`;
}

/** What a field holds now. @param {InputEvent} event */
export function valueOf(event) {
  return /** @type {HTMLInputElement} */ (event.currentTarget).value;
}

/**
 * Focuses the button that confirms, or the one that closes while there is nothing to confirm. Called by the dialog
 * itself, whose effects follow those of the modal in it: before that is shown, nothing in it can take the focus.
 * @param {boolean} blocked
 * @returns {{confirm: Place, keep: Place}}  The two buttons.
 */
export function useButtonFocus(blocked) {
  const [confirm, keep] = [usePlace(), usePlace()];
  useLayoutEffect(() => (blocked ? keep : confirm).current?.focus(), [blocked]);
  return { confirm, keep };
}

/** Focuses the field at once: the next key may be the first of the reason. @returns {Place} */
export function useFieldFocus() {
  const field = usePlace();
  useLayoutEffect(() => field.current?.focus(), []);
  return field;
}

/** @returns {Place} */
function usePlace() {
  return useRef(/** @type {HTMLElement | null} */ (null));
}
