// Lịch sử: search, filters, pages of the history; a click on a row tells its story.
//
// What is looked for stands in the address, so that it can be kept and sent. A page of the server may be short (it looks at so
// many rows at a time): it is filled up here, and whoever waits sees how far back the search is.

import { askingAgain } from "./lib/again.js";
import { get, query } from "./lib/api.js";
import { dateInputs, putIn, valueIn } from "./lib/date_field.js";
import { at, el, icon, keyed, put, state as stateOf } from "./lib/dom.js";
import { takenBy, waysText } from "./lib/fee.js";
import { centralNow, gateName, state, watch } from "./lib/feed.js";
import { calendarDay, day, duration, moment, money, number, serverDay, timeOfDay } from "./lib/format.js";
import { paging } from "./lib/paging.js";
import { language, t, typeName } from "./lib/texts.js";
import { showOpening } from "./history/amend.js";
import { startStory, tell } from "./history/story.js";
import { renameTakings, showTakings } from "./history/takings.js";
import { METHODS, kindOf, methodName, personName } from "./history/words.js";
import { start } from "./shell.js";

const ROWS = 50;
/** The list follows what happens, but not more often than people read, nor so that the central does little else. */
const RELOAD_MS = 2000;
const REST_PER_WORK = 10;
const TYPING_MS = 250;

/** What the quick filters stand for. */
const VIEWS = {
  "": {},
  inside: { in_parking_only: "true" },
  entries: { entries_only: "true" },
  exits: { status: "OUT" },
  anomalies: { anomaly: "any" },
  void: { status: "VOID" },
};
/** Anomalies that a status says already. */
const SAID = { LEFT_UNSEEN: "left_unseen", SUPERSEDED: "double_entry" };
const FIELDS = ["search", "day", "by", "from", "to", "gate", "exit_by", "method", "anomaly"];
const MORE = ["from", "to", "gate", "exit_by", "method", "anomaly"];

/** The filters as they stand. */
let filters = {};
let view = "";
/** The newest question; answers to older ones are dropped. */
let asked = 0;

function conditions() {
  const { day: chosen, ...others } = filters;
  return { ...others, ...(chosen ? { from: chosen, to: chosen } : {}), ...VIEWS[view], ...(view === "anomalies" && filters.anomaly ? { anomaly: filters.anomaly } : {}) };
}

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of FIELDS) filters[name] = given.get(name) ?? "";
  filters.by = filters.by === "entry" ? "entry" : "exit";
  view = given.get("view") in VIEWS ? given.get("view") : "";
  for (const name of FIELDS) {
    // A gate or a person of another time may no longer be in the list.
    if (name === "gate" && filters.gate) addGates([filters.gate]);
    if (name === "exit_by" && filters.exit_by) addPeople([filters.exit_by]);
    putIn(at(name), filters[name]);
  }
  if (MORE.some((name) => filters[name])) expand(true);
}

function writeAddress() {
  const address = query(location.pathname, { ...filters, by: filters.by === "exit" ? "" : filters.by, view });
  if (address !== location.pathname + location.search) history.replaceState(null, "", address + location.hash);
}

function expand(open) {
  at("details").hidden = !open;
  at("more").setAttribute("aria-expanded", String(open));
}

function addGates(gates) {
  const known = new Set([...at("gate").options].map((option) => option.value));
  const added = gates.filter((gate) => !known.has(gate)).sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const chosen = at("gate").value;
  at("gate").append(...added.map((gate) => el("option", { value: gate })));
  for (const option of at("gate").options) if (option.value) put(option, gateName(option.value));
  at("gate").value = filters.gate || chosen;
}

/** Those who did something are offered as they are met. */
function addPeople(people) {
  const known = new Set([...at("exit_by").options].map((option) => option.value));
  const added = new Set(people.filter((by) => by && !known.has(by)));
  at("exit_by").append(...[...added].sort().map((by) => el("option", { value: by }, personName(by))));
}

/** Chooses in a filter, as a press on a sum does. */
function choose(name, value) {
  if (name === "gate") addGates([value]);
  if (name === "exit_by") addPeople([value]);
  at(name).value = value;
  if (value) expand(true);
  search();
}

/** The filters changed: from the first page on. */
function search() {
  for (const name of FIELDS) filters[name] = valueIn(at(name));
  pages.restart();
  writeAddress();
  showFilters();
  load();
}

function showFilters() {
  for (const chip of document.querySelectorAll("[data-view]")) {
    const isChosen = {
      today: () => filters.day !== "" && filters.day === today(),
      month: () => [filters.from, filters.to].join() === month().join(),
    }[chip.dataset.view] ?? (() => chip.dataset.view === view && !(view === "" && (filters.day || filters.from || filters.to)));
    chip.setAttribute("aria-pressed", String(isChosen()));
  }
  const count = MORE.filter((name) => filters[name]).length;
  at("more-count").hidden = count === 0;
  put("more-count", number(count));
  // What the spreadsheets of that language expect.
  at("export").href = query("/api/parking/history.csv", { ...conditions(), lang: language, separator: language === "vi" ? ";" : "," });
  at("export-book").href = query("/api/parking/history.xlsx", { ...conditions(), lang: language });
  showTakings({ ...filters, view }, choose);
}

function showPrintHead() {
  const time = (text) => `${calendarDay(text.slice(0, 10))} ${text.slice(11, 16)}`;
  const span = filters.day ? calendarDay(filters.day)
    : [["from", filters.from], ["to", filters.to]].map(([name, text]) => (text ? `${t(`history.range_${name}`)} ${time(text)}` : "")).filter(Boolean).join(" ");
  const selected = ["gate", "exit_by", "method", "anomaly"].filter((name) => filters[name]).map((name) => at(name).selectedOptions[0]?.text);
  put("print-head", [
    state.central?.site, state.central?.id, span || t("history.any_day"), t(`history.by_${filters.by}`), view && t(`history.view_${view}`), ...selected, filters.search,
    t("history.printed", { time: `${day(centralNow())} ${timeOfDay(centralNow())}` }),
  ].filter(Boolean).join(" · "));
}

const isFiltered = () => view !== "" || FIELDS.some((name) => name !== "by" && filters[name]);

/** Today at the site, `2026-11-28`. */
const today = () => serverDay(centralNow());

/** From the first day of the month until tomorrow, as the fields want it. */
const month = () => [`${today().slice(0, 8)}01T00:00`, `${serverDay(centralNow() + 86_400_000)}T00:00`];

/** Openings for cars that could not be read: on no row until somebody says which car it was. */
async function showOpenings() {
  const found = view === "anomalies" ? await get("/api/parking/anomalies?kind=unread&limit=50").catch(() => null) : null;
  // Without an answer what is there stays.
  if (view === "anomalies" && !found) return;
  const openings = view === "anomalies" ? found.anomalies : [];
  at("openings").hidden = openings.length === 0;
  keyed(at("openings-list"), openings, (opening) => opening.fact, () => el("li"), (item, opening) => {
    showOpening(item, opening, gateName(`${opening.central}/${opening.edge_id}`), () => load({ quietly: true }));
  });
}

/** Whether a question is under way: news wait for it, else a long search would begin anew for ever. */
let busy = false;
let tookMs = 0;

async function load({ quietly = false } = {}) {
  const question = ++asked;
  const begun = performance.now();
  busy = true;
  if (!quietly) put("said", t("history.loading"));
  showOpenings();
  let cursor = pages.cursor();
  const rows = [];
  const key = JSON.stringify([conditions(), cursor]);
  try {
    do {
      const limit = ROWS - rows.length;
      const page = await get(query("/api/parking/history", { ...conditions(), limit, cursor }));
      if (question !== asked) return;
      rows.push(...page.history);
      cursor = page.next_cursor;
      // What is shown of the same question stays until all of it is there again.
      if (cursor && rows.length < ROWS && shown?.key !== key) {
        show(rows, cursor);
        put("said", t("history.searching", { day: day(Number(cursor.split(".")[0])) }));
      }
    } while (cursor && rows.length < ROWS);
    show(rows, cursor, key);
    put("said", "");
    heard();
  } catch (error) {
    if (question === asked) {
      heard(error);
      put("said", error.text ?? String(error));
    }
  }
  if (question === asked) {
    busy = false;
    tookMs = performance.now() - begun;
  }
}

/** What stands in the table; `key`: all that was asked for, by the question; null: some of it. */
let shown = null;

function show(rows, cursor, key = null) {
  shown = { rows, cursor, key };
  addPeople(rows.map((row) => row.exit_by));
  const none = rows.length === 0 && !cursor;
  at("nothing").hidden = !none;
  if (none) {
    put("nothing", t(pages.isFirst() ? (isFiltered() ? "history.nothing_found" : "history.nothing") : "history.nothing_more"));
  }
  at("table").hidden = rows.length === 0;
  pages.showNext(cursor);
  keyed(at("rows"), rows, (row) => row.event_id, makeRow, showRow);
  const all = pages.isFirst() && !cursor;
  put("sum-count", t(all ? "history.sum_all" : "history.sum_page", { n: number(rows.length) }));
  showPrintHead();
  // Of what was paid in several ways only the one that is asked for, as in the takings.
  const taken = (row) => (filters.method ? takenBy(row, filters.method) : row.collected);
  put("sum-fee", money(rows.reduce((sum, row) => sum + (row.exit_ms === null ? 0 : taken(row)), 0)));
}

function makeRow() {
  const open = el("button", { type: "button", class: "plate open" });
  const row = el(
    "tr", {},
    el("th", { scope: "row" }, open, el("small", { class: "type quiet" })),
    el("td", { class: "when in" }), el("td", { class: "when out" }), el("td", { class: "stayed" }),
    el("td", { class: "number fee" }), el("td", { class: "how" }),
  );
  // The whole row can be clicked; the button is there for keyboards and screen readers.
  row.addEventListener("click", () => tell(row.dataset.key));
  return row;
}

function showRow(element, row) {
  const left = row.exit_ms !== null;
  const cell = (name) => element.querySelector(`.${name}`);
  put(cell("open"), row.plate_view);
  put(cell("type"), typeName(row.camera_type));
  const alone = row.anomalies.includes("exit_without_entry");
  const when = (way, ms, gate) => [way, el("span", { class: "time" }, moment(ms)), el("small", { class: "quiet", title: gate ?? "" }, gateName(gate ?? ""))];
  element.dataset.status = row.status;
  cell("in").replaceChildren(...(alone ? [] : when(icon("box-arrow-in-right"), row.entry_ms, row.entry_camera_name)));
  cell("out").replaceChildren(...(left ? when(icon("box-arrow-right"), row.exit_ms, row.exit_camera_name) : []));
  put(cell("stayed"), left && !alone ? duration(row.exit_ms - row.entry_ms) : "");
  // What was taken in the end: it is what the sum under the column counts.
  const how = left ? [row.paid ? waysText(row.paid) : null, row.exit_by ? personName(row.exit_by) : null].filter(Boolean).join(" · ") : "";
  cell("fee").replaceChildren(
    left ? money(row.collected) : "", left && row.collected !== row.fee ? el("small", { class: "quiet" }, t("history.fee_due", { fee: money(row.fee) })) : "",
    how ? el("small", { class: "quiet taken" }, how) : "",
  );
  const words = row.anomalies.filter((kind) => kind !== SAID[row.status]);
  cell("how").replaceChildren(
    stateOf(kindOf(row.status), t(`common.stay_${row.status}`)),
    ...words.map((kind) => el("span", { class: "odd" }, icon("exclamation-triangle"), t(`common.anomaly_${kind}`))),
  );
}

function listen() {
  at("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  let typing;
  at("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, TYPING_MS);
  });
  for (const name of MORE) at(name).addEventListener("change", () => {
    if (name === "from" || name === "to") at("day").value = "";
    search();
  });
  at("by").addEventListener("change", search);
  const toDay = (wanted) => {
    putIn(at("day"), wanted > today() ? today() : wanted);
    for (const name of ["from", "to"]) at(name).value = "";
    search();
  };
  at("day").addEventListener("change", () => (at("day").value ? toDay(valueIn(at("day"))) : search()));
  const step = (days) => toDay(serverDay(Date.parse(`${filters.day || today()}T12:00:00Z`) + days * 86_400_000));
  at("day-before").addEventListener("click", () => step(-1));
  at("day-after").addEventListener("click", () => step(1));
  at("print").addEventListener("click", () => print());
  // Whose list it is, of what, and of when: a sheet of paper has no address.
  addEventListener("beforeprint", showPrintHead);
  at("more").addEventListener("click", () => expand(at("details").hidden));
  for (const chip of document.querySelectorAll("[data-view]")) {
    chip.addEventListener("click", () => {
      if (chip.dataset.view === "today") {
        view = "";
        return toDay(today());
      }
      if (chip.dataset.view === "month") {
        view = "";
        [at("day").value, at("by").value] = ["", "exit"];
        ["from", "to"].forEach((name, index) => putIn(at(name), month()[index]));
        return search();
      }
      view = chip.dataset.view;
      // Who is inside left on no day.
      if (view === "inside" && at("by").value === "exit") at("day").value = "";
      search();
    });
  }
  at("clear").addEventListener("click", () => {
    for (const name of FIELDS) at(name).value = name === "by" ? "exit" : "";
    view = "";
    search();
    at("search").focus();
  });
}

/** News is shown on the page it belongs to, not more often than people read. */
function stayFresh() {
  let waiting = 0;
  let known = null;
  let names = "";
  watch(["events", "gates"], ({ events, gates }) => {
    addGates(Object.keys(gates));
    const told = JSON.stringify(Object.entries(gates).map(([address, { name }]) => [address, name]));
    if (told !== names) {
      names = told;
      if (shown) show(shown.rows, shown.cursor, shown.key);
      renameTakings({ ...filters, view }, choose);
    }
    const last = events[events.length - 1]?.id ?? null;
    if (last === known) return;
    known = last;
    const again = () => {
      waiting = busy ? setTimeout(again, RELOAD_MS) : 0;
      if (waiting) return;
      load({ quietly: true });
      showTakings({ ...filters, view }, choose);
    };
    waiting ||= setTimeout(again, Math.max(RELOAD_MS, tookMs * REST_PER_WORK));
  });
}

await start("history");
dateInputs();
at("method").append(...METHODS.map((method) => el("option", { value: method }, methodName(method))));
const pages = paging(load);
const heard = askingAgain(() => {
  load({ quietly: true });
  showTakings({ ...filters, view }, choose);
});
readAddress();
showFilters();
listen();
startStory(() => load({ quietly: true }));
load();
stayFresh();
