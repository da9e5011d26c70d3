// Lịch sử: search, filters, pages of the history; a click on a row tells its story.
//
// What is looked for stands in the address, so that it can be kept and sent. A page of the server may be short (it looks at so
// many rows at a time): it is filled up here, and whoever waits sees how far back the search is.

import { get, query } from "./lib/api.js";
import { at, el, icon, keyed, put, state as stateOf } from "./lib/dom.js";
import { watch } from "./lib/feed.js";
import { day, duration, moment, money, number } from "./lib/format.js";
import { paging } from "./lib/paging.js";
import { language, t } from "./lib/texts.js";
import { startStory, tell } from "./history/story.js";
import { kindOf, vehicle } from "./history/words.js";
import { start } from "./shell.js";

const ROWS = 50;
/** The list follows what happens, but not more often than people read. */
const RELOAD_MS = 2000;
const TYPING_MS = 250;

/** What the quick filters stand for. */
const VIEWS = {
  "": {},
  today: { today_only: "true" },
  inside: { in_parking_only: "true" },
  entries: { entries_only: "true" },
  exits: { status: "OUT" },
  anomalies: { anomaly: "any" },
  void: { status: "VOID" },
};
/** Anomalies that a status says already. */
const SAID = { LEFT_UNSEEN: "left_unseen", SUPERSEDED: "double_entry" };
const FIELDS = ["search", "from", "to", "gate", "anomaly"];
const MORE = ["from", "to", "gate", "anomaly"];

/** The filters as they stand. */
let filters = {};
let view = "";
/** The newest question; answers to older ones are dropped. */
let asked = 0;

function conditions() {
  return { ...filters, ...VIEWS[view], ...(view === "anomalies" && filters.anomaly ? { anomaly: filters.anomaly } : {}) };
}

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of FIELDS) filters[name] = given.get(name) ?? "";
  view = given.get("view") in VIEWS ? given.get("view") : "";
  for (const name of FIELDS) {
    // A gate of another time may no longer be in the list.
    if (name === "gate" && filters.gate) addGates([filters.gate]);
    at(name).value = filters[name];
  }
  if (MORE.some((name) => filters[name])) expand(true);
}

function writeAddress() {
  const address = query(location.pathname, { ...filters, view });
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
  at("gate").append(...added.map((gate) => el("option", { value: gate }, gate)));
  at("gate").value = filters.gate || chosen;
}

/** The filters changed: from the first page on. */
function search() {
  for (const name of FIELDS) filters[name] = at(name).value.trim();
  pages.restart();
  writeAddress();
  showFilters();
  load();
}

function showFilters() {
  for (const chip of document.querySelectorAll("[data-view]")) {
    chip.setAttribute("aria-pressed", String(chip.dataset.view === view));
  }
  const count = MORE.filter((name) => filters[name]).length;
  at("more-count").hidden = count === 0;
  put("more-count", number(count));
  at("export").href = query("/api/parking/history.csv", { ...conditions(), lang: language });
}

const isFiltered = () => view !== "" || FIELDS.some((name) => filters[name]);

async function load({ quietly = false } = {}) {
  const question = ++asked;
  if (!quietly) put("said", t("history.loading"));
  let cursor = pages.cursor();
  const rows = [];
  try {
    do {
      const limit = ROWS - rows.length;
      const page = await get(query("/api/parking/history", { ...conditions(), limit, cursor }));
      if (question !== asked) return;
      rows.push(...page.history);
      cursor = page.next_cursor;
      if (cursor && rows.length < ROWS) {
        show(rows, cursor);
        put("said", t("history.searching", { day: day(Number(cursor.split(".")[0])) }));
      }
    } while (cursor && rows.length < ROWS);
    show(rows, cursor);
    put("said", "");
  } catch (error) {
    if (question === asked) put("said", error.text ?? String(error));
  }
}

function show(rows, cursor) {
  const none = rows.length === 0 && !cursor;
  at("nothing").hidden = !none;
  if (none) {
    put("nothing", t(pages.isFirst() ? (isFiltered() ? "history.nothing_found" : "history.nothing") : "history.nothing_more"));
  }
  at("table").hidden = rows.length === 0;
  pages.showNext(cursor);
  keyed(at("rows"), rows, (row) => row.event_id, makeRow, showRow);
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
  put(cell("type"), vehicle(row.camera_type));
  const alone = row.anomalies.includes("exit_without_entry");
  const when = (way, ms, gate) => [way, el("span", { class: "time" }, moment(ms)), el("small", { class: "quiet" }, gate ?? "")];
  element.dataset.status = row.status;
  cell("in").replaceChildren(...(alone ? [] : when(icon("box-arrow-in-right"), row.entry_ms, row.entry_camera_name)));
  cell("out").replaceChildren(...(left ? when(icon("box-arrow-right"), row.exit_ms, row.exit_camera_name) : []));
  put(cell("stayed"), left && !alone ? duration(row.exit_ms - row.entry_ms) : "");
  put(cell("fee"), left ? money(row.fee) : "");
  const words = row.anomalies.filter((kind) => kind !== SAID[row.status]);
  cell("how").replaceChildren(
    stateOf(kindOf(row.status), t(`common.stay_${row.status}`)),
    ...words.map((kind) => el("span", { class: "odd" }, icon("exclamation-triangle"), t(`history.anomaly_${kind}`))),
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
  for (const name of MORE) at(name).addEventListener("change", search);
  at("more").addEventListener("click", () => expand(at("details").hidden));
  for (const chip of document.querySelectorAll("[data-view]")) {
    chip.addEventListener("click", () => {
      view = chip.dataset.view;
      search();
    });
  }
  at("clear").addEventListener("click", () => {
    for (const name of FIELDS) at(name).value = "";
    view = "";
    search();
    at("search").focus();
  });
}

/** News is shown on the page it belongs to, not more often than people read. */
function stayFresh() {
  let waiting = 0;
  let known = null;
  watch(["events", "gates"], ({ events, gates }) => {
    addGates(Object.keys(gates));
    const last = events.at(-1)?.id ?? null;
    if (last === known) return;
    known = last;
    waiting ||= setTimeout(() => {
      waiting = 0;
      load({ quietly: true });
    }, RELOAD_MS);
  });
}

await start("history");
const pages = paging(load);
readAddress();
showFilters();
listen();
startStory(() => load({ quietly: true }));
load();
stayFresh();
