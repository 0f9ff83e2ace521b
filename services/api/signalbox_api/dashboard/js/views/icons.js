/**
 * The few drawings of the page, as SVG in the document: no files, no fonts, and they take the colour of their text.
 * @module
 */

import { html } from "../core/ui.js";

/** The mark: a signal with one lamp lit. Its colour tells the overall state. @param {{tone?: string}} props */
export function Mark({ tone = "unsure" }) {
  return html`<svg class="mark mark-${tone}" viewBox="0 0 20 28" width="20" height="28" aria-hidden="true">
    <rect class="mark-body" x="1" y="1" width="18" height="26" rx="9" />
    <circle class="mark-off" cx="10" cy="9" r="4.5" />
    <circle class="mark-lamp" cx="10" cy="19" r="4.5" />
  </svg>`;
}

/** The sign of a status, so that colour is never alone. @param {{status: string}} props */
export function StatusGlyph({ status }) {
  return html`<svg class="glyph" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">${GLYPHS[status] ?? GLYPHS.pending}</svg>`;
}

/** @type {Record<string, any>} */
const GLYPHS = {
  pending: html`<circle class="stroke" cx="6" cy="6" r="3.5" />`,
  running: html`<circle class="fill" cx="6" cy="6" r="4" />`,
  completed: html`<path class="stroke" d="M2.5 6.5 5 9l4.5-5.5" />`,
  failed: html`<path class="stroke" d="m3.2 3.2 5.6 5.6m0-5.6L3.2 8.8" />`,
};

export function CrossIcon() {
  return html`<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path class="stroke" d="m4 4 8 8m0-8-8 8" /></svg>`;
}

export function CopyIcon() {
  return html`<svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
    <rect class="stroke" x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path class="stroke" d="M10.5 3.5v-1h-8v8h1" />
  </svg>`;
}

export function BackIcon() {
  return html`<svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path class="stroke" d="M9.5 3.5 5 8l4.5 4.5" /></svg>`;
}

export function SearchIcon() {
  return html`<svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
    <circle class="stroke" cx="7" cy="7" r="4.5" /><path class="stroke" d="m10.5 10.5 3 3" />
  </svg>`;
}
