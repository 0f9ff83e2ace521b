/**
 * The question before a host is forgotten.
 * @module
 */

import { useApp } from "../../core/store.js";
import { html, useState } from "../../core/ui.js";
import { Dialog } from "./dialog.js";
import { ReasonField, useFieldFocus } from "./reason_field.js";

/** @param {{host: string, onClose: () => void}} props */
export function ForgetDialog({ host, onClose }) {
  const { processes } = useApp();
  const [reason, setReason] = useState("");
  const field = useFieldFocus();
  const confirm = () => {
    onClose();
    void processes.forget(host, { ...(reason.trim() && { reason: reason.trim() }) });
  };
  return html`<${Dialog} title="Forget ${host}?" testid="forget" onClose=${onClose} onConfirm=${confirm}>
    <p>For a host that has left for good: no badge counts it and no stop waits for it any more. Tasks that ran there are marked as failed, not confirmed. If it reports again, it is shown again.</p>
    <${ReasonField} value=${reason} onReason=${setReason} testid="forget-reason" place=${field} />
    <div class="dialog-buttons">
      <button type="button" class="button" data-testid="forget-keep" onClick=${onClose}>Keep it</button>
      <button class="button solid danger" data-testid="forget-confirm">Forget it</button>
    </div>
  <//>`;
}
