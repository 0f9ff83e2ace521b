/**
 * The page's frame: what is shown before, during and after a session.
 * @module
 */

import { useApp, useStore } from "../../core/store.js";
import { html, useEffect } from "../../core/ui.js";
import { visible } from "../../core/visible.js";
import { BulkDialog } from "../dialogs/bulk_dialog.js";
import { CancelDialog } from "../dialogs/cancel_dialog.js";
import { StaleStrip, useDoubt } from "./connection.js";
import { Header } from "./header.js";
import { ForgetDialog } from "../dialogs/forget_dialog.js";
import { HelpDialog } from "../dialogs/help_dialog.js";
import { PowerDialog } from "../dialogs/power_dialog.js";
import { ProcessesView } from "../processes/processes_view.js";
import { SignIn, Unreachable } from "./sign_in.js";
import { TaskPage } from "../tasks/task_page.js";
import { TasksView } from "../tasks/tasks_view.js";
import { ToastsView } from "./toasts_view.js";

export function Shell() {
  const session = useStore((state) => state.session);
  return html`
    ${session.phase === "in" && html`<${Signedin} />`}
    ${session.phase === "out" && html`<${SignIn} message=${session.message} />`}
    ${session.phase === "unreachable" && html`<${Unreachable} message=${session.message} />`}
    <${ToastsView} />
  `;
}

function Signedin() {
  const route = useStore((state) => state.route);
  const stale = useDoubt() !== "";
  useTitle();
  return html`
    <button class="skip" onClick=${() => document.getElementById("main")?.focus()}>Skip to the content</button>
    <${Header} view=${route.view} />
    <${StaleStrip} />
    <main id="main" tabindex="-1" class=${stale ? "stale" : ""}>
      ${route.view === "tasks" && html`<${TasksView} />`}
      ${route.view === "task" && html`<${TaskPage} key=${route.id} />`}
      ${route.view === "processes" && html`<${ProcessesView} />`}
    </main>
    <${OpenDialog} />
  `;
}

function OpenDialog() {
  const dialog = useStore((state) => state.dialog);
  const { store } = useApp();
  const close = () => store.update({ dialog: null });
  switch (dialog?.kind) {
    case "cancel":
      return html`<${CancelDialog} task=${dialog.task} onClose=${close} />`;
    case "bulk":
      return html`<${BulkDialog} onClose=${close} />`;
    case "power":
      return html`<${PowerDialog} action=${dialog.action} scope=${dialog.scope} preset=${dialog.mode} onClose=${close} />`;
    case "forget":
      return html`<${ForgetDialog} host=${dialog.host} onClose=${close} />`;
    case "help":
      return html`<${HelpDialog} onClose=${close} />`;
    default:
      return null;
  }
}

function useTitle() {
  const title = useStore(({ route, page }) => {
    if (route.view === "processes") return "Processes · Signalbox";
    if (route.view === "task" && page.task) return `${page.task.name}: ${page.task.status} · Signalbox`;
    return "Tasks · Signalbox";
  });
  useEffect(() => {
    document.title = visible(title);
  }, [title]);
}
