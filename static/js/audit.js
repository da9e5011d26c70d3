// Nhật ký thao tác: who changed what, from where, as it was and as it is since; by kind, person and time, page by page.

import { askingAgain } from "./lib/again.js";
import { get, query } from "./lib/api.js";
import { dateInputs, putIn, valueIn } from "./lib/date_field.js";
import { at, el, keyed, put, state as stateOf } from "./lib/dom.js";
import { gateName, state, watch } from "./lib/feed.js";
import { calendarDay, moment_full, money, number } from "./lib/format.js";
import { paging } from "./lib/paging.js";
import { hasText, language, t, typeName } from "./lib/texts.js";
import { start } from "./shell.js";

const ROWS = 50;
const FIELDS = ["kind", "who", "from", "to"];
const KINDS = [
  "login", "logout", "refusal", "settings", "peer", "pending", "invitation", "join", "expulsion", "person", "password", "token", "edge_key",
  "tariff", "subscriptions", "correction", "void", "forced_opening", "import", "gap",
];

/** The newest question; answers to older ones are dropped. */
let asked = 0;

const conditions = () => Object.fromEntries(FIELDS.map((name) => [name, valueIn(at(name))]));

/** The filters changed: from the first page on. */
function search() {
  pages.restart();
  history.replaceState(null, "", query(location.pathname, conditions()));
  load();
}

async function load() {
  const question = ++asked;
  put("said", t("audit.loading"));
  at("export").href = query("/api/access/audit.csv", { ...conditions(), lang: language });
  try {
    const page = await get(query("/api/access/audit", { ...conditions(), limit: ROWS, cursor: pages.cursor() }));
    if (question !== asked) return;
    show(page.entries, page.next_cursor);
    put("said", "");
    heard();
  } catch (error) {
    if (question !== asked) return;
    heard(error);
    // What was there stays while nobody answers.
    if (error.status >= 400 && error.status < 500) show([], null);
    at("nothing").hidden = true;
    put("said", error.code === "login_required" ? t("audit.login_needed") : error.text ?? String(error));
    if (error.code === "login_required") at("said").append(" ", el("a", { href: "/login?back=/audit" }, t("common.login")));
  }
}

/** What stands in the table. */
let shown = [];

function show(entries, cursor) {
  shown = entries;
  at("nothing").hidden = entries.length > 0;
  put("nothing", t("audit.nothing"));
  at("table").hidden = entries.length === 0;
  pages.showNext(cursor);
  const known = new Set([...at("names").children].map((option) => option.value));
  const names = new Set(entries.map((entry) => entry.who).filter((who) => who && !known.has(who)));
  at("names").append(...[...names].map((who) => el("option", { value: who })));
  keyed(at("rows"), entries, (entry) => entry.id, makeRow, () => {});
}

function makeRow(entry) {
  const isDone = entry.outcome === "done";
  return el(
    "tr", {},
    el("th", { scope: "row" }, el("time", {}, moment_full(entry.at_ms)), entry.since_ms ? el("small", {}, t("audit.since", { time: moment_full(entry.since_ms) })) : null),
    el("td", { class: "kind" }, isDone ? t(`audit.kind_${entry.kind}`) : stateOf("bad", t(`audit.kind_${entry.kind}`)), entry.count > 1 ? el("small", {}, t("audit.times", { n: number(entry.count) })) : null),
    el("td", { class: "by" }, by(entry.who), entry.from ? el("small", {}, entry.from) : null),
    el("td", { class: "what" }, el("span", { title: entry.what }, what(entry)), isDone ? null : el("small", { class: "code", title: entry.outcome }, outcome(entry.outcome)), changes(entry)),
  );
}

/** A refusal in words. */
function outcome(code) {
  const key = `common.error_${code}`;
  return hasText(key) ? t(key) : code;
}

/** What a request asked for, by its address: the first that fits. */
const ACTIONS = [
  ["/api/p2p/config", "p2p_config"], ["/api/p2p", "p2p"], ["/api/parking/history", "parking_history"], ["/api/parking/fees", "parking_fees"],
  ["/api/subscriptions", "subscriptions"], ["/api/access", "access"], ["/api/edge", "edge"],
];

/** Kinds that are about a gate. */
const OF_GATES = ["forced_opening", "edge_key"];

/** What it was about: a request in words, a gate by its name, anything else as it is. */
function what({ kind, what: said }) {
  if (OF_GATES.includes(kind)) return gateText(said);
  const [, path] = /^[A-Z]+ (\/api\/\S+)$/.exec(said) ?? [];
  const [, action] = ACTIONS.find(([begin]) => path?.startsWith(begin)) ?? [];
  return action ? t(`audit.action_${action}`) : said;
}

/** A gate as the site calls it; it is said by its address, or if it is of this central by its id. */
function gateText(said) {
  const address = said.includes("/") ? said : `${state.central?.id}/${said}`;
  return state.gates[address]?.name ? gateName(address) : said;
}

/** `peer_centrals.central-2.fingerprint` as people say it: whose, and what. `about`: what is told already. */
function fieldName(name, about = "") {
  const parts = name.split(".");
  const last = parts.pop();
  const key = `audit.field_${last}`;
  if (!hasText(key)) return typeName(name);
  const nameOf = parts[0] === "edges" ? gateText : typeName;
  const whose = parts.filter((part) => part !== about && !LISTS.includes(part)).map(nameOf).join(" ");
  return whose ? `${whose}: ${t(key)}` : t(key);
}

/** Where fields lie, which says nothing to people. */
const LISTS = ["this_central", "peer_centrals", "site", "edges", "security", "backup", "tuning", "fees", "types", "plan"];

function by(who) {
  if (who === "") return t("audit.nobody");
  const [kind, name] = who.split(":");
  if (name === undefined) return who;
  const key = `audit.who_${kind}`;
  return hasText(key) ? t(key, { name: kind === "edge" ? gateText(name) : name }) : who;
}

/** What differs, field by field. */
function changes(entry) {
  const { before, after } = entry;
  const isSaid = (name) => [before?.[name], after?.[name]].some((said) => said !== undefined && said !== "");
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].filter(isSaid);
  if (names.length === 0) return null;
  const isSame = (name) => JSON.stringify(before?.[name]) === JSON.stringify(after?.[name]);
  return el("dl", {}, names.flatMap((name) => [
    el("dt", { title: name }, fieldName(name, entry.what)),
    el("dd", {}, isSame(name) ? null : [value("del", name, before?.[name]), name in (before ?? {}) && name in (after ?? {}) ? " → " : null], value("ins", name, after?.[name])),
  ]));
}

function value(tag, name, said) {
  if (said === undefined) return null;
  return el(tag, {}, valueText(name.split(".").pop(), said));
}

function valueText(name, said) {
  if (name.endsWith("_ms") && !name.startsWith("reconnect") && Number.isFinite(said)) return moment_full(said);
  if (MONEY.includes(name) && Number.isFinite(said)) return money(said);
  if (Number.isFinite(said) && !Number.isInteger(said)) return number(said);
  if (["camera_type", "vehicle_type"].includes(name)) return typeName(said);
  if (["edge", "edge_id", "gate"].includes(name) && typeof said === "string") return gateText(said);
  if (hasText(`audit.value_${said}`)) return t(`audit.value_${said}`);
  if (Array.isArray(said)) return said.map((one) => valueText(name, one)).join(typeof said[0] === "object" ? "; " : ", ");
  if (said !== null && typeof said === "object") return Object.entries(said).map(([part, one]) => `${fieldName(part)}: ${valueText(part, one)}`).join(", ");
  return typeof said === "string" ? calendarDay(said) : JSON.stringify(said);
}

const MONEY = ["fee", "fee_due", "collected", "fee_per_hour", "fee_overnight", "fee_daily_max", "lost_card", "day", "night", "day_and_night", "first_price", "price", "per_night", "same_day", "per_month"];

function listen() {
  at("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  for (const name of FIELDS) at(name).addEventListener("change", search);
  at("clear").addEventListener("click", () => {
    for (const name of FIELDS) at(name).value = "";
    search();
    at("kind").focus();
  });
  document.addEventListener("logged-in", load);
}

await start("audit");
dateInputs();
const pages = paging(load);
const heard = askingAgain(load);
at("kind").append(...KINDS.map((kind) => el("option", { value: kind }, t(`audit.kind_${kind}`))));
const given = new URLSearchParams(location.search);
for (const name of FIELDS) putIn(at(name), given.get(name) ?? "");
listen();
load();
// Gates may be known, or called otherwise, only after the table is there.
let names = "";
watch(["gates", "central"], ({ gates }) => {
  const told = JSON.stringify(Object.entries(gates).map(([address, { name }]) => [address, name]));
  if (told === names) return;
  names = told;
  at("rows").replaceChildren();
  keyed(at("rows"), shown, (entry) => entry.id, makeRow, () => {});
});
