// A receipt for the customer, on whatever paper the printer has: made for the print, gone after it.

import { el } from "../lib/dom.js";
import { gateName, state } from "../lib/feed.js";
import { duration, moment_full as momentFull, money } from "../lib/format.js";
import { t, typeName } from "../lib/texts.js";
import { methodName } from "./words.js";

/** Prints the receipt of a stay that has ended. */
export function printReceipt(row) {
  const alone = row.anomalies.includes("exit_without_entry");
  const lines = [
    ["type", typeName(row.camera_type)],
    alone ? null : ["entry", momentFull(row.entry_ms)],
    ["exit", momentFull(row.exit_ms)],
    row.exit_camera_name ? ["gate", gateName(row.exit_camera_name)] : null,
    alone ? null : ["stayed", duration(row.exit_ms - row.entry_ms)],
    ["fee", money(row.collected)],
    row.paid ? ["paid", methodName(row.paid.method)] : null,
  ].filter(Boolean);
  const receipt = el(
    "section", { class: "receipt" },
    state.central?.site ? el("p", {}, state.central.site) : null, el("h1", {}, t("history.receipt_title")), el("p", { class: "plate" }, row.plate_view),
    el("dl", {}, lines.map(([name, value]) => [el("dt", {}, t(`history.${name}`)), el("dd", {}, value)])),
    el("p", {}, t("history.receipt_thanks")), el("p", { class: "id" }, `${t("history.event_id")}: ${row.event_id}`),
  );
  document.body.append(receipt);
  document.body.classList.add("printing-receipt");
  addEventListener("afterprint", () => {
    receipt.remove();
    document.body.classList.remove("printing-receipt");
  }, { once: true });
  print();
}
