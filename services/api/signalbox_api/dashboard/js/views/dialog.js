/**
 * A modal dialog: the browser's own, which keeps the focus inside and closes on Escape.
 * @module
 */

import { html, useLayoutEffect, useRef } from "../core/ui.js";

/**
 * @typedef {object} Props
 * @property {string} title
 * @property {string} testid
 * @property {() => void} onClose
 * @property {() => void} [onConfirm]  What Enter does.
 * @property {any} children
 */

/** @param {Props} props */
export function Dialog({ title, testid, onClose, onConfirm, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => giveBack(opener);
  }, []);
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    (onConfirm ?? onClose)();
  };
  return html`<dialog
    ref=${dialog}
    class="dialog"
    data-testid=${testid}
    aria-labelledby="dialog-title"
    onCancel=${(/** @type {Event} */ event) => (event.preventDefault(), onClose())}
    onKeyDown=${calm}
    onClick=${(/** @type {Event} */ event) => event.target === dialog.current && onClose()}
  >
    <form onSubmit=${submit}><h2 id="dialog-title">${title}</h2>${children}</form>
  </dialog>`;
}

/** A key held down from before must not answer the question that it opened. @param {KeyboardEvent} event */
function calm(event) {
  if (event.repeat && event.key === "Enter") event.preventDefault();
}

/** @param {Element | null} opener */
function giveBack(opener) {
  if (!(opener instanceof HTMLElement)) return;
  const row = opener.closest("[data-task-id]");
  if (opener.isConnected && opener !== document.body) opener.focus();
  else if (row instanceof HTMLElement && row.isConnected) row.focus();
}
