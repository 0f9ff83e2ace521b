/**
 * The live connection: a websocket that resumes where it was cut, and says when it is not live.
 *
 * Every frame carries the position it leads to; after a cut the next connection asks for what came since. When the
 * server no longer has that, or this is the first connection, it says `resync` and the page loads its lists again.
 *
 * The server sends the changes of what the page shows. When that changes, the page asks for what came since the position it
 * has reached, so that a list which is loaded meanwhile misses nothing. Until the answer what comes is of the subscription
 * before: the position stays, and nothing else is asked for. A page that cannot keep up gets counts; they name no
 * position, so that a page which comes back asks for all that was left out.
 * @module
 */

/** @typedef {import("../types.js").Connection} Connection */
/** @typedef {import("../types.js").Change} Change */
/** @typedef {import("../types.js").Subscription} Subscription */

/** The server sends a beat every 2 s; three missing ones mean that nobody is there. */
const SILENCE_MS = 6000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 8000;
/** Characters of a subscription in the address of a connection: servers and proxies take lines of 8 KB. */
const IN_ADDRESS = 4000;
/** The server's close code for a session that is over. */
const SIGNED_OUT = 4401;

/**
 * @typedef {object} Listener
 * @property {(connection: Connection) => void} state
 * @property {(serverTime: number | string | undefined) => void} time
 * @property {() => void} resync  The lists must be loaded again.
 * @property {(changes: Change[]) => void} changes
 * @property {() => void} refused  The session may be over: a connection ended before its hello, or said so.
 */

export class Live {
  /** When the last frame came, in milliseconds of this machine's clock. @type {number | null} */
  lastNews = null;
  /** @type {Connection} */
  #connection = { phase: "stopped", retryAt: null, asOf: null, behind: [], bus: true, why: "", leftOut: 0 };
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #retries = 0;
  #position = "";
  #open = false;
  /** As JSON: what the page shows, and the subscription that the server got last. */
  #wanted = "";
  #requested = "";
  /** As JSON: the subscription to which the answer is awaited; empty: none is. */
  #awaited = "";

  /**
   * @param {string} url
   * @param {Listener} listener
   */
  constructor(url, listener) {
    this.url = url;
    this.listener = listener;
  }

  start() {
    if (this.#connection.phase !== "stopped") return;
    this.#retries = 0;
    this.#position = "";
    this.lastNews = null;
    this.#connect();
  }

  stop() {
    this.#drop();
    this.#show({ phase: "stopped", retryAt: null, asOf: null, behind: [], bus: true, why: "", leftOut: 0 });
  }

  /** Asks for the changes of what the page shows, on this connection and those that follow. @param {Subscription} subscription */
  subscribe(subscription) {
    this.#wanted = JSON.stringify(subscription);
    this.#request();
  }

  #request() {
    if (!this.#open || this.#awaited || this.#requested === this.#wanted) return;
    this.#requested = this.#wanted;
    this.#send(this.#wanted);
  }

  /** @param {string} subscription  As JSON. */
  #send(subscription) {
    this.#awaited = subscription;
    this.#socket?.send(`{"type":"subscribe","subscription":${subscription},"since":${JSON.stringify(this.#position)}}`);
  }

  /** Does not wait for the next try: the network came back, or a person asked. */
  retryNow() {
    if (this.#connection.phase === "waiting") this.#connect();
  }

  #connect() {
    this.#drop();
    this.#show({ phase: "connecting", retryAt: null });
    this.#open = false;
    this.#awaited = "";
    // One that is too long, as that of a task with a long id, follows the hello; until then all changes come.
    this.#requested = encodeURIComponent(this.#wanted).length <= IN_ADDRESS ? this.#wanted : "";
    const query = new URLSearchParams({
      ...(this.#position && { since: this.#position }),
      ...(this.#requested && { subscription: this.#requested }),
    });
    const socket = new WebSocket(`${this.url}?${query}`);
    this.#socket = socket;
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = ({ code }) => this.#lost("the connection was closed", code === SIGNED_OUT);
    this.#watch();
  }

  /** @param {string} data */
  #receive(data) {
    this.lastNews = Date.now();
    this.#watch();
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      this.#position = "";
      this.#lost("a message could not be read");
      return;
    }
    this.listener.time(frame.server_time);
    if (frame.type === "hello") this.#hello(frame);
    else this.#retries = 0;
    if (frame.type === "changes") this.listener.changes(frame.changes);
    if (frame.type === "beat") this.#beat(frame);
    if (frame.type === "subscribed") this.#subscribed(frame);
    if (frame.type === "error") this.#refused(frame.message);
    if (["changes", "beat"].includes(frame.type) && frame.position && !this.#awaited) this.#position = frame.position;
  }

  /** @param {any} frame */
  #beat({ as_of: asOf = null, behind = [], bus, left_out: leftOut = 0 }) {
    this.#show({ asOf, behind, bus: bus !== false, leftOut });
  }

  /** @param {{position: string, resync: boolean}} frame */
  #hello(frame) {
    this.#open = true;
    // Who vouches for the record comes with the first beat, right after this.
    this.#show({ phase: "live", why: "", bus: true, leftOut: 0 });
    this.#reached(frame);
    this.#request();
  }

  /** @param {{position: string, resync: boolean}} frame */
  #subscribed(frame) {
    this.#awaited = "";
    this.#reached(frame);
    this.#request();
  }

  /** A server of an older release may not know all that a subscription can name; everything holds what the page shows. @param {string} message */
  #refused(message) {
    console.error(`the live connection: ${message}`);
    if (this.#awaited && this.#awaited !== "null") this.#send("null");
    else this.#awaited = "";
  }

  /** On a resume the position stays where it was until the missed changes have come. @param {{position: string, resync: boolean}} frame */
  #reached({ position, resync }) {
    if (!resync && this.#position) return;
    this.#position = position;
    this.listener.resync();
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost("nothing came for 6 s"), SILENCE_MS);
  }

  /**
   * Schedules the next connection. After a sign-out that is late: it would be refused, and asking for the session is
   * quicker to find out.
   * @param {string} why
   * @param {boolean} [signedOut]
   */
  #lost(why, signedOut = false) {
    const refused = signedOut || !this.#open;
    this.#drop();
    const ceiling = signedOut ? LAST_RETRY_MS : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#retries++);
    const wait = ceiling * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#show({ phase: "waiting", retryAt: Date.now() + wait, why });
    if (refused) this.listener.refused();
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** @param {Partial<Connection>} patch */
  #show(patch) {
    this.#connection = { ...this.#connection, ...patch };
    this.listener.state(this.#connection);
  }
}
