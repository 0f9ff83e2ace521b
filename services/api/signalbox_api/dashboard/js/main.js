/**
 * Where the dashboard is put together and started.
 * @module
 */

import { BulkActions } from "./actions/bulk.js";
import { ProcessActions } from "./actions/processes.js";
import { SessionActions } from "./actions/session.js";
import { TaskActions } from "./actions/tasks.js";
import { Toasts } from "./actions/toasts.js";
import { Api } from "./core/api.js";
import { Clock } from "./core/clock.js";
import { Feed } from "./core/feed.js";
import { Hold } from "./core/hold.js";
import { Live } from "./core/live.js";
import { socketAddressOf } from "./core/root.js";
import { parseRoute } from "./core/route.js";
import { AppContext, Store } from "./core/store.js";
import { html, render } from "./core/ui.js";
import { listenToKeys } from "./actions/keys.js";
import { initialState } from "./model/state.js";
import { subscriptionOf } from "./model/subscription.js";
import { newerChange } from "./model/tasks.js";
import { knownUntil } from "./model/vouching.js";
import { Shell } from "./views/frame/shell.js";

const SETTLE_MS = 500;

/**
 * @typedef {object} App
 * @property {Store<import("./model/state.js").State>} store
 * @property {Clock} clock
 * @property {Hold} hold
 * @property {Live} live
 * @property {Feed} feed
 * @property {Toasts} toasts
 * @property {SessionActions} session
 * @property {TaskActions} tasks
 * @property {BulkActions} bulk
 * @property {ProcessActions} processes
 */

/** @returns {App} */
function assembled() {
  const store = new Store(initialState(parseRoute(location.hash)));
  const [clock, hold, toasts] = [new Clock(), new Hold(), new Toasts(store)];
  const api = new Api(() => session.expired());
  const tasks = new TaskActions(store, api, hold, toasts);
  const bulk = new BulkActions(store, api, toasts);
  const processes = new ProcessActions(store, api, toasts);
  const feed = new Feed((changes) => {
    tasks.receive(changes);
    processes.receive(changes);
  }, newerChange);
  const load = (/** @type {boolean} */ quiet) => {
    tasks.reload({ quiet });
    processes.refresh();
    const { route } = store.state;
    if (route.view === "task") tasks.open(route.id);
  };
  const live = new Live(socketAddressOf("/scheduler/live/"), {
    state(connection) {
      const news = live.lastNews;
      clock.freeze(knownUntil(connection, news === null ? null : clock.at(news)));
      const before = store.state.connection;
      store.update({ connection });
      if (connection.phase !== "live") return;
      if (before.phase !== "live" && store.state.statusError) processes.refresh();
      // A page that was behind itself is told to load by the server.
      const others = before.behind.some(({ part }) => part !== "page");
      if (others && connection.behind.length === 0) load(true);
    },
    time: (serverTime) => clock.observe(serverTime),
    resync: () => load(true),
    changes: (changes) => feed.push(changes),
    refused: () => void session.check(),
  });
  const session = new SessionActions(store, api, {
    entered() {
      processes.start();
      load(false);
      live.subscribe(subscriptionOf(store.state.route, store.state.filter));
      live.start();
    },
    left() {
      processes.stop();
      live.stop();
    },
  });
  return { store, clock, hold, live, feed, toasts, session, tasks, bulk, processes };
}

/** Follows the URL. @param {App} app */
function follow({ store, live, tasks, bulk }) {
  const route = parseRoute(location.hash);
  const { filter: before, route: left } = store.state;
  const filter = route.view === "tasks" ? route.filter : before;
  store.update({ route, filter, dialog: null });
  if (store.state.session.phase !== "in") return;
  live.subscribe(subscriptionOf(route, filter));
  if (route.view === "task") tasks.open(route.id);
  if (filter.status !== before.status || filter.q !== before.q) {
    bulk.clear();
    tasks.reload();
  } else if (route.view === "tasks" && left.view !== "tasks") {
    tasks.reload({ quiet: true }); // its changes did not come meanwhile
  }
}

function start() {
  const app = assembled();
  window.addEventListener("hashchange", () => follow(app));
  window.addEventListener("online", () => app.live.retryNow());
  document.addEventListener("visibilitychange", () => {
    app.live.retryNow();
    // A frame that was waited for does not come in a page that was hidden since.
    app.feed.flush();
  });
  setInterval(() => app.tasks.settle(), SETTLE_MS);
  listenToKeys(app);
  render(html`<${AppContext.Provider} value=${app}><${Shell} /><//>`, /** @type {HTMLElement} */ (document.getElementById("app")));
  app.session.check();
}

start();
