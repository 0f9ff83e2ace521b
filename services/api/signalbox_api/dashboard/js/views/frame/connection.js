/**
 * How old what the page shows is: the badge in the header, and a strip across the page when nobody vouches for it.
 * @module
 */

import { useTicking } from "../../core/clock.js";
import { elapsed, time } from "../../core/format.js";
import { useApp, useStore } from "../../core/store.js";
import { html, useMemo } from "../../core/ui.js";
import { sentences, vouchedStatus } from "../../model/vouching.js";

/** Two beats of the server were missed. */
const QUIET_MS = 4500;
/** A short cut needs no strip. */
const STRIP_MS = 3000;

/** @typedef {import("../../types.js").Connection} Connection */

export function ConnectionBadge() {
  const { live } = useApp();
  const connection = useStore((state) => state.connection);
  const text = useTicking(() => told(connection, live.lastNews));
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
function useCutOff() {
  const { live } = useApp();
  const phase = useStore((state) => state.connection.phase);
  return useTicking(() => !["live", "stopped"].includes(phase) && live.lastNews !== null && Date.now() - live.lastNews >= STRIP_MS);
}

/** Why nobody vouches for what the page shows; empty while somebody does. */
export function useDoubt() {
  const behind = useStore((state) => state.connection.behind);
  return useCutOff() ? "This page is not live." : sentences(behind);
}

/** The processes with no more said of them than somebody vouches for. */
export function useStatus() {
  const status = useStore((state) => state.status);
  const vouched = useDoubt() === "";
  return useMemo(() => vouchedStatus(status, vouched), [status, vouched]);
}

export function StaleStrip() {
  const { live } = useApp();
  const [cutOff, doubt] = [useCutOff(), useDoubt()];
  const connection = useStore((state) => state.connection);
  const text = useTicking((clock) => {
    if (!cutOff) return doubt && `${doubt} What you see is as of ${time(new Date(clock.known()).toISOString())}; it may have changed.`;
    const age = elapsed(Date.now() - (live.lastNews ?? 0));
    return `Not live. What you see is ${age} old; it may have changed.${untilRetry(connection)}`;
  });
  if (!text) return null;
  return html`<div class="strip" data-testid="stale" role="status">
    <span>${text}</span>
    ${cutOff && html`<button class="button small" onClick=${() => live.retryNow()}>Try now</button>`}
  </div>`;
}

/** @param {Connection} connection @param {number | null} news */
function told({ phase, bus, asOf, behind, leftOut }, news) {
  const age = news === null ? null : Date.now() - news;
  if (phase === "live") {
    if (age !== null && age > QUIET_MS) return `last news ${elapsed(age)} ago`;
    if (!bus) return "no changes: Redis is away";
    if (leftOut > 0) return `${leftOut.toLocaleString("en")} changes not shown`;
    if (behind.length > 0) return asOf ? `as of ${time(asOf)}` : "nothing is known yet";
    return "live";
  }
  if (phase === "stopped") return "not connected";
  return age === null ? "connecting…" : `reconnecting… last news ${elapsed(age)} ago`;
}

/** @param {Connection} connection */
function explained({ why, bus, behind, leftOut }) {
  if (why) return `Not live because ${why}. Click to try now.`;
  if (leftOut > 0) return "More changes than this page can take. Its list is loaded again as soon as it can.";
  if (bus) return sentences(behind) || "Changes arrive by themselves.";
  return "The api cannot reach Redis, so nothing is heard of tasks and processes. It goes on trying.";
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
