// What was taken on a day or in a month: in all, and by gate, person, way of payment and vehicle type; and the exits somebody has to look at.

import { get, query } from "../lib/api.js";
import { at, el, icon, keyed, put } from "../lib/dom.js";
import { gateName, state, watch } from "../lib/feed.js";
import { calendarDay, moment, money, number, serverDay, timeOfDay } from "../lib/format.js";
import { t, typeName } from "../lib/texts.js";
import { me } from "../lib/login.js";
import { showAssigning } from "./amend.js";
import { tell } from "./story.js";
import { NOBODY, methodName, personName } from "./words.js";

/** What makes an exit worth a look for who counts the money. */
const ODD_MONEY = ["manual_opening", "payment_used_twice", "fee_uncertain", "exit_without_entry", "double_exit", "double_entry", "time_uncertain", "clock_skew", "unknown_type", "other_type", "may_be_told_twice"];
const MOST_ODD = 200;
const DAY_MS = 86_400_000;
/** More are folded away until asked for. */
const FEW = 5;

const UNSAID = "unsaid";

/** By what the sums are told apart: the filter a press sets (null: there is none), the value of a sum, its name. */
const PARTS = [
  { id: "gate", filter: "gate", of: (one) => `${one.central}/${one.edge_id}`, name: gateName },
  { id: "person", filter: "exit_by", of: (one) => one.by || NOBODY, name: personName },
  { id: "method", filter: "method", of: (one) => one.method || UNSAID, name: methodName },
  { id: "type", filter: null, of: (one) => one.camera_type, name: typeName },
  { id: "shift", filter: null, of: (one) => one.shift ?? "", name: shiftName, link: (id) => query("/shifts", { id }) },
];

/** A shift by who had it, where, and from when. */
function shiftName(id) {
  const shift = shown.shifts.find((one) => one.id === id);
  if (!shift) return t("history.no_shift");
  const from = shown.isOneDay ? timeOfDay(shift.from_ms) : moment(shift.from_ms);
  return [personName(shift.person), gateName(`${shift.central}/${shift.edge_id}`), from].join(" · ");
}

/** Whether who looks may say what money is for, as far as is known; and what shows all anew afterwards. */
let mayAmend = false;
let again = async () => {};

/** What was answered last, and to which question. */
let shown = { question: null, drawn: null, isOneDay: true, found: [], shifts: [], odd: [], aside: [], payments: [], claims: [] };

/** The days whose takings `filters` ask for, both included; null: no whole days, or a filter that sums of days do not follow. */
function days({ day, by, from, to, search, anomaly, view }) {
  if (by !== "exit" || search || anomaly || view) return null;
  if (day) return { from: day, to: day };
  const isWhole = from.endsWith("T00:00") && to.endsWith("T00:00") && from < to;
  return isWhole ? { from: from.slice(0, 10), to: serverDay(Date.parse(`${to.slice(0, 10)}T05:00:00Z`) - DAY_MS) } : null;
}

/** Shows the takings of the days that `filters` name, as far as their gate, person and way of payment go; `choose(name, value)` sets one. */
export async function showTakings(filters, choose) {
  const span = days(filters);
  at("takings").hidden = !span;
  if (!span) return;
  const question = JSON.stringify([span, ...PARTS.map(({ filter }) => filters[filter])]);
  shown.question = question;
  again = () => showTakings(filters, choose);
  mayAmend = (await me().catch(() => null))?.may_amend ?? false;
  const asked = [get(query("/api/takings", { ...span, by: "shift" })), oddOf(span, filters), asideOf(span, filters), paymentsOf(span, filters), claimsOf(span, filters)];
  const [answer, odd, aside, payments, claims] = await Promise.all(asked).catch(() => [null]);
  if (!answer || shown.question !== question) return;
  if (shown.drawn !== question) at("takings-odd-part").open = odd.length + aside.length + payments.length + claims.length <= FEW;
  shown = { question, drawn: question, isOneDay: span.from === span.to, found: answer.takings, shifts: answer.shifts, odd, aside, payments, claims };
  draw(filters, choose);
}

/** Names came: as it stands, anew. */
export function renameTakings(filters, choose) {
  if (days(filters)) draw(filters, choose);
}

async function oddOf(span, { gate, exit_by, method }) {
  const odd = [];
  let cursor = "";
  do {
    const page = await get(query("/api/parking/history", { by: "exit", ...span, anomaly: "any", gate, exit_by, method, limit: MOST_ODD, cursor }));
    odd.push(...page.history.filter((row) => row.anomalies.some((kind) => ODD_MONEY.includes(kind))));
    cursor = page.next_cursor;
  } while (cursor && odd.length < MOST_ODD);
  return odd;
}

/** Exits that took something and are on no row: of cars whose plate or entry is not known here. */
async function asideOf({ from, to }, filters) {
  // Who did it and how it was paid is not told of them.
  if (filters.exit_by || filters.method) return [];
  const found = await Promise.all(["waiting", "unread"].map((kind) => get(query("/api/parking/anomalies", { kind, limit: MOST_ODD }))));
  return found.flatMap((answer) => answer.anomalies).filter((event) => {
    const day = event.time_ms === null ? "" : serverDay(event.time_ms);
    return event.direction === "EXIT" && event.fee > 0 && day >= from && day <= to && gateMatches(event, filters.gate);
  });
}

/** What a bank says came in, and no exit says it was paid by: it was taken at no gate, by nobody here. */
async function paymentsOf(span, { gate, exit_by, method }) {
  if (gate || exit_by) return [];
  const odd = [];
  let cursor = "";
  do {
    // Sums do not wait for it.
    const page = await get(query("/api/payments", { ...span, odd: true, cursor })).catch(() => ({ payments: [], next_cursor: null }));
    odd.push(...page.payments.filter((one) => !method || one.method === method));
    cursor = page.next_cursor;
  } while (cursor && odd.length < MOST_ODD);
  return odd;
}

/** What gates say was transferred, and no bank told, or another car has the reference of. */
async function claimsOf(span, { gate, exit_by, method }) {
  const { exits } = await get(query("/api/payments/claimed", span)).catch(() => ({ exits: [] }));
  return exits.filter((one) => gateMatches(one, gate) && (!exit_by || (one.by || NOBODY) === exit_by) && (!method || one.method === method));
}

const gateMatches = (one, gate) => !gate || gate === one.central || gate === `${one.central}/${one.edge_id}`;

function draw(filters, choose) {
  const asked = shown.found.filter((one) => gateMatches(one, filters.gate) && (!filters.exit_by || (one.by || NOBODY) === filters.exit_by) && (!filters.method || (one.method || UNSAID) === filters.method));
  const sum = (all, of) => all.reduce((total, one) => total + of(one), 0);
  const revenue = (all) => sum(all, (one) => one.revenue);
  const exits = (all) => sum(all, (one) => one.exits);
  const chosen = PARTS.filter(({ filter }) => filter && filters[filter]).map(({ filter, name }) => name(filters[filter]));
  const span = days(filters);
  const title = span.from === span.to ? t("history.takings", { day: calendarDay(span.from) }) : t("history.takings_days", { from: calendarDay(span.from), to: calendarDay(span.to) });
  put("takings-title", [title, ...chosen].join(" · "));
  put("takings-revenue", money(revenue(asked)));
  put("takings-count", t("history.takings_exits", { n: number(exits(asked)) }));
  const excess = sum(asked, (one) => one.excess ?? 0);
  at("takings-excess").hidden = excess === 0;
  put("takings-excess", t("history.takings_excess", { money: money(excess) }));
  at("takings-shifts").hidden = shown.shifts.length === 0;
  for (const part of PARTS) {
    const groups = new Map();
    for (const one of asked) groups.set(part.of(one), [...(groups.get(part.of(one)) ?? []), one]);
    const rows = [...groups].map(([value, all]) => ({ value, exits: exits(all), revenue: revenue(all) }));
    rows.sort((a, b) => b.revenue - a.revenue || b.exits - a.exits);
    keyed(at(`takings-${part.id}`), rows, ({ value }) => value, () => el("tr", {}, el("th", { scope: "row" }), el("td", { class: "number" }), el("td", { class: "number" })), (row, group) => {
      const [name, count, amount] = row.children;
      const text = part.name(group.value);
      // What has a filter of its own is pressed to see it alone, and once more to see all.
      const isChosen = part.filter && filters[part.filter] === group.value;
      if (part.filter) {
        const button = name.firstElementChild ?? name.appendChild(el("button", { type: "button", class: "btn btn-link" }));
        button.setAttribute("aria-pressed", String(Boolean(isChosen)));
        button.onclick = () => choose(part.filter, isChosen ? "" : group.value);
        put(button, text);
      } else if (part.link && group.value) {
        const link = name.firstElementChild ?? name.appendChild(el("a", { href: part.link(group.value) }));
        put(link, text);
      } else put(name, text);
      // A part of an exit that is counted under its first way.
      put(count, group.exits === 0 && group.revenue !== 0 ? t("history.with_another_way") : number(group.exits));
      put(amount, money(group.revenue));
    });
  }
  showOdd();
}

function showOdd() {
  const { odd, aside, payments, claims } = shown;
  const all = [...aside, ...payments, ...claims, ...odd];
  at("takings-odd-part").hidden = all.length === 0;
  put("takings-odd-title", t("history.takings_odd", { n: odd.length >= MOST_ODD ? `${MOST_ODD}+` : number(all.length) }));
  keyed(at("takings-odd"), all, (row) => row.fact ?? row.event_id, (row) => {
    const stay = isPayment(row) ? row.stay : row.event_id;
    const isTold = row.plate_view && stay && (!row.fact || row.state !== "unknown");
    const button = isTold ? el("button", { type: "button", class: "btn btn-link plate" }, row.plate_view) : el("span", {});
    if (isTold) button.addEventListener("click", () => tell(stay));
    const handle = isPayment(row) && mayAmend ? el("button", { type: "button", class: "btn btn-link" }, t("history.payment_handle")) : null;
    const item = el("li", {}, el("span", { class: "quiet when" }), button, el("span", { class: "where" }), el("span", { class: "whys" }, el("span", { class: "why" }), handle), el("span", { class: "end" }));
    handle?.addEventListener("click", () => showAssigning(item, row, again));
    return item;
  }, (item, row) => (row.same_reference ? showClaim(item, row) : isPayment(row) ? showPayment(item, row) : row.fact ? showAside(item, row) : showRow(item, row)));
}

const isPayment = (row) => Boolean(row.reference && !row.same_reference);

function showWhen(item, ms) {
  put(item.querySelector(".when"), shown.isOneDay ? timeOfDay(ms) : moment(ms));
}

const why = (text) => el("span", { class: "odd" }, icon("exclamation-triangle"), text);

function showAside(item, event) {
  showWhen(item, event.time_ms);
  put(item.querySelector(".where"), gateName(`${event.central}/${event.edge_id}`));
  item.querySelector(".why").replaceChildren(why(t(`history.aside_${event.kind}`)));
  put(item.querySelector(".end"), money(event.fee));
}

function showPayment(item, payment) {
  showWhen(item, payment.at_ms);
  put(item.querySelector(".where"), [methodName(payment.method), payment.reference, payment.text].filter(Boolean).join(" · "));
  const other = payment.conflicts_with;
  item.querySelector(".why").replaceChildren(why(t(`common.payment_${payment.state}`)), ...(other ? [" ", t("history.payment_conflicts", { money: money(other.amount), method: methodName(other.method) })] : []));
  put(item.querySelector(".end"), money(payment.amount));
}

function showClaim(item, claim) {
  showWhen(item, claim.exit_ms);
  put(item.querySelector(".where"), [gateName(`${claim.central}/${claim.edge_id}`), claim.by ? personName(claim.by) : null, methodName(claim.method), claim.reference].filter(Boolean).join(" · "));
  const whys = [];
  if (claim.missing > 0) whys.push(why(t("history.claim_missing", { money: money(claim.missing) })));
  if (claim.same_reference.length > 0) whys.push(why(t("history.claim_twice", { n: number(claim.same_reference.length) })));
  item.querySelector(".why").replaceChildren(...whys);
  put(item.querySelector(".end"), money(claim.amount));
}

function showRow(item, row) {
  showWhen(item, row.exit_ms);
  put(item.querySelector(".where"), [gateName(row.exit_camera_name ?? ""), row.exit_by ? personName(row.exit_by) : null].filter(Boolean).join(" · "));
  item.querySelector(".why").replaceChildren(...row.anomalies.filter((kind) => ODD_MONEY.includes(kind)).map((kind) => why(t(`common.anomaly_${kind}`))), ...(row.excess > 0 ? [why(t("history.takings_excess", { money: money(row.excess) }))] : []));
  put(item.querySelector(".end"), money(row.collected));
}

/** Of whom something may be missing: what they took is not in these sums yet. */
function showMissing() {
  const behind = Object.entries(state.peers).filter(([, peer]) => peer.state !== "connected" || peer.we_lack_events > 0).map(([id]) => id);
  at("takings-missing").hidden = behind.length === 0;
  put("takings-missing", t("history.takings_missing", { ids: behind.join(", ") }));
}

watch(["peers"], showMissing);
