/**
 * How old what the page shows is: the badge in the header, and a strip across the page when it is not live.
 * @module
 */

import { useTicking } from "../../core/clock.js";
import { elapsed } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html } from "../../core/ui.js";
import { recordLag } from "../../model/processes.js";

/** Two beats of the server were missed. */
const QUIET_MS = 4500;
/** Hosts give a sign of life every 2 s and the page looks every 5 s; a record older than this, in seconds, is worth a word. */
const BEHIND_S = 12;
/** A short cut needs no strip. */
const STRIP_MS = 3000;

/** @typedef {import("../../types.js").Connection} Connection */

export function ConnectionBadge() {
  const { live } = useApp();
  const connection = useStore((state) => state.connection);
  const status = useStore((state) => state.status);
  const text = useTicking((clock) => told(connection, live.lastNews, recordLag(connection.recordAge, status, clock.now())));
  const tone = toneOf(connection, text);
  return html`<button
    class="connection tone-${tone}"
    data-testid="connection"
    data-phase=${connection.phase}
    data-tone=${tone}
    title=${explained(connection)}
    onClick=${() => live.retryNow()}
  ><span class="lamp"></span><span>${text}</span></button>`;
}

/** Whether the page is not live for so long that what it shows may be out of date. */
export function useStale() {
  const { live } = useApp();
  return useTicking((clock) => clock.frozen && live.lastNews !== null && Date.now() - live.lastNews >= STRIP_MS);
}

export function StaleStrip() {
  const { live } = useApp();
  const stale = useStale();
  const connection = useStore((state) => state.connection);
  const text = useTicking(() => {
    const age = elapsed(Date.now() - (live.lastNews ?? 0));
    return stale ? `Not live. What you see is ${age} old; it may have changed.${untilRetry(connection)}` : "";
  });
  if (!stale) return null;
  return html`<div class="strip" data-testid="stale"><span>${text}</span><button class="button small" onClick=${() => live.retryNow()}>Try now</button></div>`;
}

/** @param {Connection} connection @param {number | null} news @param {number} lag */
function told({ phase, bus }, news, lag) {
  const age = news === null ? null : Date.now() - news;
  if (phase === "live") {
    if (age !== null && age > QUIET_MS) return `last news ${elapsed(age)} ago`;
    if (!bus) return "no changes: Redis is away";
    if (lag > BEHIND_S) return `record is ${elapsed(lag * 1000)} behind`;
    return "live";
  }
  if (phase === "stopped") return "not connected";
  return age === null ? "connecting…" : `reconnecting… last news ${elapsed(age)} ago`;
}

/** @param {Connection} connection */
function explained({ why, bus }) {
  if (why) return `Not live because ${why}. Click to try now.`;
  return bus ? "Changes arrive by themselves." : "The api cannot reach Redis, so nothing is heard of tasks and processes. It goes on trying.";
}

/** @param {Connection} connection @param {string} text */
function toneOf({ phase }, text) {
  if (phase === "live") return text === "live" ? "good" : "busy";
  return text === "connecting…" ? "unsure" : "bad";
}

/** @param {Connection} connection */
function untilRetry({ phase, retryAt }) {
  if (phase === "connecting") return " Trying now…";
  const left = retryAt === null ? 0 : Math.ceil((retryAt - Date.now()) / 1000);
  return left > 0 ? ` Next try in ${left} s.` : "";
}
