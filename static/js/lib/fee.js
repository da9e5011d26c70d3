// What a fee consists of, in lines.

import { el } from "./dom.js";
import { money, number } from "./format.js";
import { hasText, t } from "./texts.js";

/** A list of the parts: how many at which price, or what for, and what that comes to. */
export function feeLines(lines) {
  return el("ul", { class: "fee-lines", "aria-label": t("common.fee_lines") }, ...lines.map((line) => {
    const key = `common.line_${line.part}`;
    const counted = typeof line.count === "number" ? t("common.line_counted", { n: number(line.count), price: money(line.price) }) : "";
    const parts = [t(hasText(key) ? key : "common.line_other"), line.reason, counted].filter(Boolean);
    return el("li", {}, el("span", {}, parts.join(" · ")), " ", el("span", { class: "end" }, money(line.amount)));
  }));
}
