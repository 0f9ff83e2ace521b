/**
 * The status line at the bottom. Its two regions are always in the document, so that screen readers hear what comes.
 * @module
 */

import { useApp, useStore } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { CrossIcon } from "../icons.js";

export function ToastsView() {
  const toasts = useStore((state) => state.toasts);
  const bad = toasts.filter(({ kind }) => kind === "bad");
  const rest = toasts.filter(({ kind }) => kind !== "bad");
  return html`<div class="toasts">
    <div role="alert">${bad.map((toast) => html`<${ToastView} key=${toast.id} toast=${toast} />`)}</div>
    <div role="status" aria-live="polite">${rest.map((toast) => html`<${ToastView} key=${toast.id} toast=${toast} />`)}</div>
  </div>`;
}

/** @param {{toast: import("../../types.js").Toast}} props */
function ToastView({ toast }) {
  const { toasts } = useApp();
  const { offer } = toast;
  const take = () => {
    toasts.dismiss(toast.id);
    offer?.act();
  };
  return html`<div class="toast toast-${toast.kind}" data-testid="toast" data-kind=${toast.kind}>
    <span>${toast.text}</span>
    ${offer && html`<button class="button small" data-testid="toast-offer" onClick=${take}>${offer.words}</button>`}
    <button class="icon-button" aria-label="Dismiss" onClick=${() => toasts.dismiss(toast.id)}><${CrossIcon} /></button>
  </div>`;
}
