// The story of one stay, in a panel at the side: what is known, why it is so, and what a person may change.

import { get } from "../lib/api.js";
import { at, el, icon, state as stateOf } from "../lib/dom.js";
import { feeLines } from "../lib/fee.js";
import { gateName, watch, withGateNames } from "../lib/feed.js";
import { duration, moment_full as momentFull, money } from "../lib/format.js";
import { printReceipt } from "../lib/receipt.js";
import { language, t, typeName } from "../lib/texts.js";
import { amendments } from "./amend.js";
import { NOBODY, imageName, kindOf, methodName, personName, picture } from "./words.js";

/** Later than this after it happened is worth telling. */
const LATE_MS = 5000;
/** A clock off by less is not worth a word. */
const MIN_SKEW_MS = 1000;

let changed = () => {};
let shown = null;

/** `whenChanged` is called after a correction or a removal. */
export function startStory(whenChanged) {
  changed = whenChanged;
  const dialog = at("story");
  dialog.addEventListener("close", () => {
    shown = null;
    if (location.hash.startsWith("#stay=")) history.replaceState(null, "", location.pathname + location.search);
  });
  // Beside the panel is its backdrop.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  const byAddress = () => {
    const asked = decodeURIComponent(location.hash.match(/^#stay=(.+)$/)?.[1] ?? "");
    if (asked && asked !== shown) tell(asked);
  };
  addEventListener("hashchange", byAddress);
  // A story names gates as the site calls them: they are known with the first news.
  watch(["gates"], byAddress);
}

/** Opens the panel with the story of a stay. */
export async function tell(eventId) {
  shown = eventId;
  const dialog = at("story");
  if (!dialog.open) {
    dialog.replaceChildren(head(t("history.story"), null), el("p", { class: "status" }, t("history.loading")));
    dialog.showModal();
  }
  history.replaceState(null, "", `${location.pathname}${location.search}#stay=${encodeURIComponent(eventId)}`);
  try {
    const story = await get(`/api/parking/history/${encodeURIComponent(eventId)}/story`);
    if (shown === eventId) show(dialog, story);
  } catch (error) {
    if (shown === eventId) {
      dialog.replaceChildren(head(t("history.story"), null), el("p", { class: "notice bad" }, error.text ?? String(error)));
    }
  }
}

function head(title, status) {
  const close = el("button", { type: "button", class: "btn-close", "aria-label": t("common.close") });
  close.addEventListener("click", () => at("story").close());
  return el(
    "header", {},
    el("h2", { id: "story-title", class: "plate" }, title),
    status ? stateOf(kindOf(status), t(`common.stay_${status}`)) : null,
    close,
  );
}

function show(dialog, story) {
  const { row } = story;
  const sentence = (text) => withGateNames(text[language] ?? text.en);
  const parts = [head(row?.plate_view ?? t("history.unknown_stay"), row?.status)];
  if (row) parts.push(summary(row));
  if (story.anomalies.length > 0) {
    const items = story.anomalies.map((told) => el(
      "li", { class: "notice wait" }, icon("exclamation-triangle"),
      el("span", {}, el("strong", {}, t(`common.anomaly_${told.kind}`)), " ", sentence(told)),
    ));
    parts.push(el("ul", { class: "odds", "aria-label": t("history.anomalies") }, ...items));
  }
  if (story.payments.length > 0) parts.push(el("ul", { class: "odds payments", "aria-label": t("history.payments") }, ...story.payments.map(payment)));
  parts.push(
    el("h3", { class: "section-title" }, t("history.what_happened")),
    el("ol", { class: "facts" }, ...story.facts.map((fact) => told(fact, sentence(fact)))),
  );
  if (row) parts.push(tools(dialog, row));
  if (row) {
    parts.push(amendments(row, async () => {
      changed();
      await tell(row.event_id);
    }));
  }
  dialog.replaceChildren(...parts);
}

/** What a bank or provider says came in for the stay. */
function payment(one) {
  const isWell = !one.odd;
  const assigned = one.assigned_by === null ? "" : t("history.payment_assigned", { person: personName(one.assigned_by || NOBODY), reason: one.reason });
  return el(
    "li", { class: `notice ${isWell ? "good" : "wait"}` }, icon(isWell ? "check-circle" : "exclamation-triangle"),
    el("span", {}, el("strong", {}, `${methodName(one.method)} ${money(one.amount)}`), " ", t(`common.payment_${one.state}`), assigned ? ` · ${assigned}` : "", el("br", {}), el("small", { class: "quiet" }, [momentFull(one.at_ms), one.reference, one.text].filter(Boolean).join(" · "))),
  );
}

/** What the invoice program made, and whether that still fits. */
function invoice(one) {
  const number = one.number ?? t("history.invoice_none");
  const now = one.taken_now === undefined ? "" : ` · ${t("history.invoice_unfit", { amount: money(one.taken_now) })}`;
  return el("span", { class: "way" }, `${number} ${money(one.amount)}${now} `, one.code ? el("small", { class: "quiet" }, one.code) : null);
}

/** What is of use to few: the ids of what happened; and the receipt. */
function tools(dialog, row) {
  const id = el("p", { class: "technical", hidden: true }, t("history.event_id"), ": ", el("code", {}, row.event_id));
  const technical = el("button", { type: "button", class: "btn btn-outline-secondary", "aria-expanded": "false" }, t("history.technical"));
  technical.addEventListener("click", () => {
    const open = technical.getAttribute("aria-expanded") !== "true";
    technical.setAttribute("aria-expanded", String(open));
    for (const part of dialog.querySelectorAll(".technical")) part.hidden = !open;
  });
  const receipt = row.exit_ms === null ? null : el("button", { type: "button", class: "btn btn-outline-secondary" }, icon("printer"), " ", t("common.receipt_print"));
  receipt?.addEventListener("click", () => printReceipt(row));
  return el("div", { class: "tools" }, el("div", { class: "buttons" }, receipt, technical), id);
}

function summary(row) {
  const line = (name, ...value) => [el("dt", {}, t(`history.${name}`)), el("dd", {}, ...value)];
  const alone = row.anomalies.includes("exit_without_entry");
  const left = row.exit_ms !== null;
  const paid = row.subscription_id ? t("history.by_subscription", { id: row.subscription_id }) : money(row.fee);
  const lines = [];
  if (row.camera_type) lines.push(line("type", typeName(row.camera_type)));
  if (!alone) lines.push(line("entry", momentFull(row.entry_ms), el("small", { class: "quiet" }, gateName(row.entry_camera_name))));
  if (left) lines.push(line("exit", momentFull(row.exit_ms), el("small", { class: "quiet" }, gateName(row.exit_camera_name))));
  if (left && !alone) lines.push(line("stayed", duration(row.exit_ms - row.entry_ms)));
  if (left) lines.push(line("fee", paid));
  if (left && row.paid) lines.push(line("paid", ...[row.paid, ...(row.paid.also ?? [])].map((way) => el("span", { class: "way" }, `${methodName(way.method)} ${money(way.amount)} `, way.reference ? el("small", { class: "quiet" }, way.reference) : null))));
  if (row.excess > 0) lines.push(line("excess", el("strong", {}, money(row.excess)), " ", el("small", { class: "quiet" }, t("history.excess_meaning"))));
  if (row.invoices) lines.push(line("invoice", ...row.invoices.map(invoice)));
  if (left && row.exit_by) lines.push(line("taken_by", personName(row.exit_by)));
  if (left && row.collected !== row.fee) lines.push(line("collected", el("strong", {}, money(row.collected))));
  if (row.superseded_by) {
    const other = el("button", { type: "button", class: "btn btn-link" }, row.superseded_by);
    other.addEventListener("click", () => tell(row.superseded_by));
    lines.push(line("superseded_by", other));
  }
  return el("dl", { class: "summary" }, ...lines.flat());
}

function told(fact, sentence) {
  const [drawn, kind] = picture(fact.outcome);
  const notes = [t("history.written_by", { central: fact.author })];
  if (Math.abs(fact.skew_ms ?? 0) >= MIN_SKEW_MS) {
    const key = fact.skew_ms > 0 ? "history.clock_fast" : "history.clock_slow";
    notes.push(t(key, { by: duration(Math.abs(fact.skew_ms)) }));
  }
  const late = fact.known_ms - fact.time_ms;
  if (late > LATE_MS) notes.push(t("history.known_late", { time: momentFull(fact.known_ms), age: duration(late) }));
  return el(
    "li", { class: kind },
    drawn,
    el("div", {},
      el("p", {}, sentence),
      fact.images.length > 0 ? el("p", { class: "quiet", title: fact.images.map((image) => image.sha256).join("\n") }, t("history.images", { kinds: fact.images.map((image) => imageName(image.kind)).join(", ") })) : null,
      fact.card_id ? el("p", { class: "quiet" }, t("history.card", { id: fact.card_id })) : null,
      fact.lines.length > 0 ? el("div", { class: "quiet" }, feeLines(fact.lines)) : null,
      el("p", { class: "quiet" }, el("time", {}, momentFull(fact.time_ms)), ` · ${notes.join(" · ")}`),
      el("p", { class: "quiet fact-id technical", hidden: true }, fact.fact)),
  );
}
