// A receipt for the customer, on whatever paper the printer has: made for the print, gone after it.

import { el } from "../lib/dom.js";
import { state } from "../lib/feed.js";
import { duration, moment_full as momentFull, money } from "../lib/format.js";
import { t, typeName } from "../lib/texts.js";

/** Prints the receipt of a stay that has ended. */
export function printReceipt(row) {
  const alone = row.anomalies.includes("exit_without_entry");
  const lines = [
    ["type", typeName(row.camera_type)],
    alone ? null : ["entry", momentFull(row.entry_ms)],
    ["exit", momentFull(row.exit_ms)],
    alone ? null : ["stayed", duration(row.exit_ms - row.entry_ms)],
    ["fee", money(row.collected)],
  ].filter(Boolean);
  const receipt = el(
    "section", { class: "receipt" },
    el("h1", {}, state.central?.site || t("history.receipt_title")), el("p", {}, t("history.receipt_title")), el("p", { class: "plate" }, row.plate_view),
    el("dl", {}, lines.map(([name, value]) => [el("dt", {}, t(`history.${name}`)), el("dd", {}, value)])),
    el("p", {}, row.event_id), el("p", {}, t("history.receipt_thanks")),
  );
  document.body.append(receipt);
  document.body.classList.add("printing-receipt");
  addEventListener("afterprint", () => {
    receipt.remove();
    document.body.classList.remove("printing-receipt");
  }, { once: true });
  print();
}
