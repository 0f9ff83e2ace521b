/**
 * Calls to the api: JSON both ways, the CSRF token, a time-out, and errors in the server's own words.
 * @module
 */

import { addressOf } from "./root.js";

const DEFAULT_TIMEOUT_MS = 10_000;
/** An answer that is followed while it comes about: JSON, an object a line. */
const LINES = "application/x-ndjson";

/** A call that did not do what was asked; `status` is 0 when no answer came. The message is for people. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {any} [answer]  The decoded body, where there was one.
   */
  constructor(status, message, answer = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.answer = answer;
  }
}

/** The api as this page uses it; `onSignedOut` is called whenever it answers 401. */
export class Api {
  /** @param {() => void} onSignedOut */
  constructor(onSignedOut) {
    this.onSignedOut = onSignedOut;
  }

  /**
   * @param {string} path
   * @param {{timeout?: number}} [options]
   */
  get(path, options) {
    return this.call("GET", path, undefined, options);
  }

  /**
   * @param {string} path
   * @param {object} body
   * @param {{timeout?: number}} [options]
   */
  post(path, body, options) {
    return this.call("POST", path, body, options);
  }

  /**
   * As `post`, with an answer of several lines; `told` is called with how many of how many are done.
   * @param {string} path
   * @param {object} body
   * @param {(done: number, total: number) => void} told
   * @param {{timeout?: number}} [options]
   */
  async follow(path, body, told, options) {
    const lines = await this.call("POST", path, body, { ...options, accept: LINES, line: (news) => news.status === "progress" && told(news.done, news.total) });
    if (lines?.status === "error" && !lines.tasks) throw new ApiError(0, lines.message);
    if (!lines?.tasks) throw new ApiError(0, "The answer broke off. What you asked for may still happen: watch the badges.");
    return lines;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {{timeout?: number, accept?: string, line?: (value: any) => void}} [options]  `timeout` in milliseconds; `line`
   *   is given each line of an answer that has several, the last of which is the answer.
   * @returns {Promise<any>}  The decoded body; throws {@link ApiError}.
   */
  async call(method, path, body, { timeout = DEFAULT_TIMEOUT_MS, accept = "application/json", line = () => {} } = {}) {
    /** @type {Record<string, string>} */
    const headers = { Accept: accept };
    if (method !== "GET") headers["X-CSRF-Token"] = csrfToken();
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response, text;
    try {
      response = await fetch(addressOf(path), {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout(timeout),
      });
      text = await lastLine(response, line);
    } catch (error) {
      throw new ApiError(0, silence(error, timeout));
    }
    const answer = decoded(text);
    if (response.ok) return answer;
    if (response.status === 401) this.onSignedOut();
    throw new ApiError(response.status, sentence(response, answer), answer);
  }
}

/** Reads an answer; of one that has several lines the last. @param {Response} response @param {(value: any) => void} line */
async function lastLine(response, line) {
  if (response.body === null || !response.headers.get("Content-Type")?.startsWith(LINES)) return response.text();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let [last, rest] = ["", ""];
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop() ?? "";
    for (last of lines) line(decoded(last));
  }
  return last;
}

/** Whether an error is the api's 401. @param {unknown} error */
export function isSignedOut(error) {
  return error instanceof ApiError && error.status === 401;
}

/** What to tell people about any error. @param {unknown} error */
export function words(error) {
  return error instanceof Error ? error.message : String(error);
}

/** The token that proves a call came from this page; the server set it in a cookie that only this origin can read. */
function csrfToken() {
  const cookies = document.cookie.split("; ");
  for (const prefix of ["__Host-", "__Secure-", ""]) {
    const name = `${prefix}signalbox_csrf=`;
    const found = cookies.find((part) => part.startsWith(name));
    if (found) return decodeURIComponent(found.slice(name.length));
  }
  return "";
}

/** @param {string} text */
function decoded(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * @param {unknown} error
 * @param {number} timeout
 */
function silence(error, timeout) {
  const late = error instanceof DOMException && error.name === "TimeoutError";
  if (late) return `Signalbox did not answer within ${timeout / 1000} s. What you asked for may still happen: watch the badges.`;
  return "Signalbox cannot be reached. Check that its api runs and that this machine is on the network.";
}

/**
 * @param {Response} response
 * @param {any} answer
 */
function sentence(response, answer) {
  for (const words of [answer?.message, answer?.detail]) {
    if (typeof words === "string" && words) return words;
  }
  return `Signalbox answered ${response.status} ${response.statusText} and gave no reason.`;
}
