/**
 * A button that stops, starts or restarts something, after a question; it says why when it cannot.
 * @module
 */

import { capitalised } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html, useLayoutEffect, useRef } from "../../core/ui.js";
import { EVERYTHING, named, powerRefusal } from "../../model/power.js";

/**
 * @param {object} props
 * @param {import("../../types.js").Power} props.action
 * @param {import("../../types.js").Scope} [props.scope]
 * @param {string} [props.label]  By default the action.
 * @param {string} [props.testid]
 * @param {boolean} [props.small]
 * @param {() => void} [props.onPress]  By default it asks.
 */
export function PowerButton({ action, scope = EVERYTHING, label = capitalised(action), testid = action, small = false, onPress }) {
  const { store, toasts } = useApp();
  const refusal = useStore((state) => powerRefusal(state, action, scope));
  const button = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => () => leaveFocus(button.current), []);
  const ask = onPress ?? (() => store.update({ dialog: { kind: "power", action, scope } }));
  return html`<button
    ref=${button}
    class="button ${small ? "small" : ""} ${action === "stop" ? "danger" : ""}"
    data-testid=${testid}
    aria-label=${small ? `${label}: ${named(scope)}` : undefined}
    aria-disabled=${refusal ? "true" : undefined}
    title=${refusal || undefined}
    onClick=${() => (refusal ? toasts.show("plain", refusal) : ask())}
  >${label}</button>`;
}

/** Who pressed a button that goes now stays in its row, and does not begin anew at the top. @param {HTMLElement | null} button */
function leaveFocus(button) {
  const row = button !== null && button === document.activeElement && button.closest("[data-process]");
  if (row instanceof HTMLElement) row.focus();
}
