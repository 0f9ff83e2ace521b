/**
 * The keys, for whoever asks with `?`.
 * @module
 */

import { html } from "../../core/ui.js";
import { KEYS } from "../../actions/keys.js";
import { Dialog } from "./dialog.js";

/** @param {{onClose: () => void}} props */
export function HelpDialog({ onClose }) {
  return html`<${Dialog} title="Keys" testid="help" onClose=${onClose}>
    <dl class="keys">
      ${KEYS.map(([keys, meaning]) => html`<div key=${meaning}><dt>${keys.map((key) => html`<kbd key=${key}>${key}</kbd>`)}</dt><dd>${meaning}</dd></div>`)}
    </dl>
    <div class="dialog-buttons"><button class="button">Close</button></div>
  <//>`;
}
