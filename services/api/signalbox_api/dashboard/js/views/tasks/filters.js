/**
 * The filter bar. What is set here stands in the URL.
 * @module
 */

import { capitalised } from "../../core/format.js";
import { listHash } from "../../core/route.js";
import { useApp, useStore } from "../../core/store.js";
import { html, useEffect, useRef, useState } from "../../core/ui.js";
import { SearchIcon, StatusGlyph } from "../icons.js";

const TYPING_MS = 250;
const CHOICES = /** @type {const} */ (["", "running", "pending", "failed", "completed"]);

export function Filters() {
  const filter = useStore((state) => state.filter);
  return html`<div class="filters">
    <nav class="segments" aria-label="Status">
      ${CHOICES.map(
        (status) => html`<a
          key=${status}
          href=${listHash({ ...filter, status })}
          aria-current=${filter.status === status ? "true" : undefined}
          data-testid="filter-${status || "all"}"
        >${status && html`<span class="tint-${status}"><${StatusGlyph} status=${status} /></span>`}${status ? capitalised(status) : "All"}</a>`,
      )}
    </nav>
    <${Search} q=${filter.q} />
  </div>`;
}

/** @param {{q: string}} props */
function Search({ q }) {
  const { store } = useApp();
  const [typed, setTyped] = useState(q);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  const looked = useRef(q);
  useEffect(() => {
    // What was typed here stays as it was typed; what the URL says otherwise is taken over.
    if (q !== looked.current) setTyped(q);
    looked.current = q;
  }, [q]);
  useEffect(() => () => clearTimeout(timer.current), []);
  /** @param {string} text */
  const look = (text) => {
    looked.current = text.trim();
    location.replace(listHash({ ...store.state.filter, q: looked.current }));
  };
  /** @param {InputEvent} event */
  const input = (event) => {
    const text = /** @type {HTMLInputElement} */ (event.currentTarget).value;
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => look(text), TYPING_MS);
  };
  return html`<label class="search">
    <span class="offscreen">Search names, ids, errors and arguments</span>
    <${SearchIcon} />
    <input id="filter" type="search" value=${typed} onInput=${input} placeholder="Name, id, error, argument" autocomplete="off" spellcheck=${false} data-testid="filter" />
    <kbd aria-hidden="true">/</kbd>
  </label>`;
}
