/**
 * Times, spans and ids as people read them.
 * @module
 */

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
  timeZoneName: "short",
});

/** A span in whole seconds, for what still counts: `0 s`, `3 m 04 s`, `1 h 02 m`, `3 d 4 h`. @param {number} ms */
export function elapsed(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  const [days, hours, minutes, seconds] = [Math.floor(total / 86400), Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60, total % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${two(minutes)} m`;
  if (minutes > 0) return `${minutes} m ${two(seconds)} s`;
  return `${seconds} s`;
}

/** A span that is over, with the digits that matter: `42 ms`, `4.21 s`, `42.1 s`, `3 m 04 s`. @param {number} ms */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return elapsed(ms);
}

/** `14:03:22`, with the day before it unless it is today. @param {string | null | undefined} iso */
export function time(iso) {
  const at = moment(iso);
  if (at === null) return "";
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return today ? TIME.format(date) : `${DAY.format(date)} ${TIME.format(date)}`;
}

/** Day, time to the millisecond and zone. @param {string | null | undefined} iso */
export function preciseTime(iso) {
  const at = moment(iso);
  return at === null ? "" : FULL.format(at);
}

/** The whole truth about a moment, for a tooltip: here and in UTC. @param {string | null | undefined} iso */
export function fullTime(iso) {
  const at = moment(iso);
  return at === null ? "" : `${FULL.format(at)} · ${new Date(at).toISOString()}`;
}

/** Milliseconds since 1970, or null where there is no moment. @param {string | null | undefined} iso */
export function moment(iso) {
  const at = iso ? Date.parse(iso) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** The first part of an id: enough to tell tasks apart on one screen. @param {string} id */
export function shortId(id) {
  return id.slice(0, 8);
}

/** `worker_lost` → `worker lost`. @param {string} name */
export function spoken(name) {
  return name.replaceAll("_", " ");
}

/** @param {string} text */
export function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** With a full stop, so that another sentence may follow. @param {string} text */
export function sentence(text) {
  return text.endsWith(".") ? text : `${text}.`;
}

/** `1 task`, `2 tasks`. @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

/** Arguments as text: a JSON value indented, a text as it is. @param {unknown} value */
export function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** @param {number} number */
function two(number) {
  return String(number).padStart(2, "0");
}
