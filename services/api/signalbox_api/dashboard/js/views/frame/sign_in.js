/**
 * What is there before a session: the form, and the word that the server cannot be reached.
 * @module
 */

import { useApp } from "../../core/store.js";
import { html, useEffect, useRef, useState } from "../../core/ui.js";
import { Mark } from "../icons.js";

/** @param {{message: string}} props  Why one must sign in, where there is more to say. */
export function SignIn({ message }) {
  const { session } = useApp();
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const name = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    document.title = "Sign in · Signalbox";
    name.current?.focus();
  }, []);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const fields = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    setBusy(true);
    setProblem(await session.signIn(String(fields.get("username")), String(fields.get("password"))));
    setBusy(false);
  };
  return html`<main class="gate">
    <form class="gate-card" data-testid="sign-in" onSubmit=${submit}>
      <h1 class="brand brand-large"><${Mark} tone="plain" />Signalbox</h1>
      <p class="muted" role="status">${message || "Sign in to see and control Celery."}</p>
      <label class="field">User<input ref=${name} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} required /></label>
      <label class="field">Password<input name="password" type="password" autocomplete="current-password" required /></label>
      <p class="problem" role="alert" data-testid="sign-in-problem">${problem}</p>
      <button class="button primary wide" disabled=${busy}>${busy ? "Signing in…" : "Sign in"}</button>
    </form>
  </main>`;
}

/** @param {{message: string}} props */
export function Unreachable({ message }) {
  const { session } = useApp();
  return html`<main class="gate">
    <div class="gate-card" data-testid="unreachable">
      <h1 class="brand brand-large"><${Mark} tone="unsure" />Signalbox</h1>
      <p role="alert">${message}</p>
      <p class="muted">This page tries again by itself.</p>
      <button class="button wide" onClick=${() => session.check()}>Try now</button>
    </div>
  </main>`;
}
