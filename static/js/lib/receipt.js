// A receipt for the customer, on whatever paper the printer has: made for the print, gone after it.

import { el } from "./dom.js";
import { waysText } from "./fee.js";
import { gateName, state } from "./feed.js";
import { duration, moment_full as momentFull, money } from "./format.js";
import { t, typeName } from "./texts.js";

/** Prints the receipt of a stay that has ended: a row of the history. */
export function printReceipt(row) {
  const alone = row.anomalies.includes("exit_without_entry");
  const lines = [
    [t("common.receipt_type"), typeName(row.camera_type)],
    alone ? null : [t("common.receipt_entry"), momentFull(row.entry_ms)],
    [t("common.receipt_exit"), momentFull(row.exit_ms)],
    row.exit_camera_name ? [t("common.receipt_gate"), gateName(row.exit_camera_name)] : null,
    alone ? null : [t("common.receipt_stayed"), duration(row.exit_ms - row.entry_ms)],
    [t("common.receipt_collected"), money(row.collected)],
    row.paid ? [t("common.receipt_paid"), waysText(row.paid)] : null,
  ].filter((line) => line && line[1]);
  const receipt = el(
    "section", { class: "receipt" },
    state.central?.site ? el("p", {}, state.central.site) : null, el("h1", {}, t("common.receipt_title")), el("p", { class: "plate" }, row.plate_view),
    el("dl", {}, lines.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("p", {}, t("common.receipt_thanks")), el("p", { class: "id" }, `${t("common.receipt_id")}: ${row.event_id}`),
  );
  document.body.append(receipt);
  document.body.classList.add("printing-receipt");
  addEventListener("afterprint", () => {
    receipt.remove();
    document.body.classList.remove("printing-receipt");
  }, { once: true });
  print();
}
