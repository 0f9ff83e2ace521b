/**
 * A modal dialog: the browser's own, which keeps the focus inside and closes on Escape.
 * @module
 */

import { html, useLayoutEffect, useRef } from "../../core/ui.js";

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
    const [element, opener] = [dialog.current, document.activeElement];
    const row = opener?.closest("[data-task-id], [data-process]") ?? null;
    element?.showModal();
    return () => {
      // While it is modal nothing outside it can take the focus.
      element?.close();
      giveBack(opener, row);
    };
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

/** The focus goes back to where it was, or to the row that this was in. @param {Element | null} opener @param {Element | null} row */
function giveBack(opener, row) {
  const there = [opener, row].find((one) => one instanceof HTMLElement && one.isConnected && one !== document.body);
  if (there instanceof HTMLElement) there.focus();
}
