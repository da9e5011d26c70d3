// What a fee consists of, in lines, and the ways in which it was paid.

import { el } from "./dom.js";
import { money, number } from "./format.js";
import { hasText, t } from "./texts.js";

const partName = ({ part }) => t(hasText(`common.line_${part}`) ? `common.line_${part}` : "common.line_other");
const counted = (line) => (typeof line.count === "number" ? t("common.line_counted", { n: number(line.count), price: money(line.price) }) : "");

/** How it was paid: one way by its name, of several each with its amount. `paid` as the history has it. */
export function waysText({ method, amount, also = [] }) {
  const name = (way) => t(`common.paid_${way || "unsaid"}`);
  return also.length === 0 ? name(method) : [{ method, amount }, ...also].map((way) => `${name(way.method)} ${money(way.amount)}`).join(" + ");
}

/** What of the amount taken for a row of the history counts for one way: for each other way what it says, as far as there is so much; the rest for the first. */
export function takenBy({ paid, collected }, method) {
  if (!paid?.also) return collected;
  let [left, sum] = [collected, 0];
  for (const way of paid.also) {
    const part = Math.min(way.amount, left);
    left -= part;
    if (way.method === method) sum += part;
  }
  return sum + (paid.method === method ? left : 0);
}

/** A list of the parts: how many at which price, or what for, and what that comes to. */
export function feeLines(lines) {
  return el("ul", { class: "fee-lines", "aria-label": t("common.fee_lines") }, ...lines.map((line) => el(
    "li", {}, el("span", {}, [partName(line), line.reason, counted(line)].filter(Boolean).join(" · ")), " ", el("span", { class: "end" }, money(line.amount)),
  )));
}

/** The same in a few words: what is counted, and what else plays a part. */
export const linesText = (lines) => lines.map((line) => [partName(line), counted(line)].filter(Boolean).join(" ")).join(" + ");
