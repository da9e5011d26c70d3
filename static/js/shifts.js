// Ca trực: the sheets of a day, and one of them: what there was, what came in and went out, what should be in the drawer and what was,
// what came later, every exit; for the printer, for spreadsheets.

import { methodName, personName } from "./history/words.js";
import { askingAgain } from "./lib/again.js";
import { get, post, query } from "./lib/api.js";
import { dateInputs, putIn, valueIn } from "./lib/date_field.js";
import { at, el, keyed, put, state as stateOf } from "./lib/dom.js";
import { waysText } from "./lib/fee.js";
import { centralNow, gateName, state, watch } from "./lib/feed.js";
import { calendarDay, moment, moment_full as momentFull, money, number, serverDay, timeToSecond } from "./lib/format.js";
import { mark, markProblems } from "./lib/forms.js";
import { me } from "./lib/login.js";
import { moneyInput, readMoney } from "./lib/money.js";
import { toast } from "./lib/notices.js";
import { language, t, typeName } from "./lib/texts.js";
import { start } from "./shell.js";

const EXITS = 100;
const DAY_MS = 86_400_000;
/** An open shift is asked for again after so long. */
const LOOK_AGAIN_MS = 20_000;

/** The newest question; answers to older ones are dropped. */
let asked = 0;
/** The shift that is shown; empty: the day. */
let shown = new URLSearchParams(location.search).get("id") ?? "";
let isOpen = false;
let printed = "";

/** What a drawer has too much or too little. */
const differenceText = (amount) => (amount < 0 ? t("shifts.short", { money: money(-amount) }) : amount > 0 ? t("shifts.over", { money: money(amount) }) : t("shifts.exact"));
const differenceState = (amount) => (amount === null ? "" : stateOf(amount === 0 ? "good" : amount < 0 ? "bad" : "wait", differenceText(amount)));
const signed = (amount) => (amount > 0 ? `+${money(amount)}` : money(amount));
const signedCount = (amount) => (amount > 0 ? `+${number(amount)}` : number(amount));
/** It has some of its exits on another day than it began on. */
const passesMidnight = (sheet) => serverDay(sheet.until_ms ?? centralNow()) !== serverDay(sheet.from_ms);
const spanText = (sheet) => (sheet.until_ms === null ? t("shifts.since", { from: moment(sheet.from_ms) }) : `${moment(sheet.from_ms)} – ${moment(sheet.until_ms)}`);

/** What should have been there after what came late, and how far off the count was then. */
const afterText = (sheet) => t("shifts.after_late", { money: money(sheet.expected_cash_now), difference: differenceText(sheet.difference_now) });

async function load() {
  const question = ++asked;
  const address = shown ? query("/shifts", { id: shown }) : query("/shifts", { day: valueIn(at("day")) });
  history.replaceState(null, "", address);
  try {
    const answer = await get(shown ? `/api/shifts/${encodeURIComponent(shown)}` : query("/api/shifts", { day: valueIn(at("day")) }));
    if (question !== asked) return;
    put("said", "");
    heard();
    if (shown) showSheet(answer);
    else showDay(answer);
  } catch (error) {
    if (question !== asked) return;
    heard(error);
    put("said", error.status === 404 ? t("shifts.unknown") : error.text ?? String(error));
  }
}

function showParts() {
  at("day-part").hidden = shown !== "";
  at("sheet").hidden = shown === "";
  at("back").hidden = shown === "";
  const path = shown ? `/api/shifts/${encodeURIComponent(shown)}/exits` : "/api/shifts";
  const values = { day: shown ? "" : valueIn(at("day")), lang: language };
  at("export").href = query(`${path}.csv`, { ...values, separator: language === "vi" ? ";" : "," });
  at("export-book").href = query(`${path}.xlsx`, values);
}

/** Of the table of a day, after the gate: whether it is a number. */
const COLUMNS = [["shifts.person", false], ["shifts.time", false], ["shifts.exits", true], ["shifts.revenue", true], ["shifts.counted", true], ["shifts.difference", false], ["shifts.addendum", true]];

function showDay({ day, shifts }) {
  putIn(at("day"), day);
  showParts();
  showPrintHead(calendarDay(day));
  at("nothing").hidden = shifts.length > 0;
  at("table").hidden = shifts.length === 0;
  keyed(at("rows"), shifts, (sheet) => sheet.id, (sheet) => {
    const link = el("a", { href: query("/shifts", { id: sheet.id }) });
    return el("tr", {}, el("th", { scope: "row" }, link), COLUMNS.map(([key, isNumber]) => el("td", { class: isNumber && "number", "data-head": t(key) })));
  }, (row, sheet) => {
    const [gate, person, time, exits, revenue, counted, difference, addendum] = row.children;
    put(gate.firstElementChild, sheet.gate);
    put(person, sheet.person);
    put(time, spanText(sheet));
    put(exits, number(sheet.figures.exits));
    put(revenue, money(sheet.figures.revenue));
    const again = sheet.recounts[sheet.recounts.length - 1];
    counted.replaceChildren(sheet.counted_cash === null ? "" : money(sheet.counted_cash), ...(again ? [el("br", {}), el("small", {}, t("shifts.counted_again", { money: money(again.counted_cash) }))] : []));
    difference.replaceChildren(sheet.until_ms === null ? stateOf("good", t("shifts.open")) : differenceState(again?.difference ?? sheet.difference));
    addendum.replaceChildren(...(sheet.addendum ? [signed(sheet.addendum.revenue), el("br", {}), el("small", {}, afterText(sheet))] : []));
  });
  const sum = (of) => shifts.reduce((sum, sheet) => sum + of(sheet), 0);
  for (const [key] of COLUMNS) at(`sum-${key.split(".")[1]}`)?.setAttribute("data-head", t(key));
  put("sum-exits", number(sum(({ figures }) => figures.exits)));
  put("sum-revenue", money(sum(({ figures }) => figures.revenue)));
  put("sum-counted", money(sum(({ counted_cash: counted, recounts }) => recounts[recounts.length - 1]?.counted_cash ?? counted ?? 0)));
  const late = sum(({ addendum }) => addendum?.revenue ?? 0);
  put("sum-addendum", late === 0 ? "" : signed(late));
  at("sums").hidden = shifts.length < 2;
  at("over-midnight").hidden = !shifts.some(passesMidnight);
  at("takings-of-day").href = query("/history", { day, by: "exit" });
}

/** What a printed sheet says of where and when; `what`: the day, or the shift. */
function showPrintHead(what = printed) {
  printed = what;
  const time = `${calendarDay(serverDay(centralNow()))} ${timeToSecond(centralNow()).slice(0, 5)}`;
  put("print-head", [state.central?.site, state.central?.id, what, t("shifts.printed", { time })].filter(Boolean).join(" · "));
}

/** The lines of a small table: name, and amounts. */
function fill(table, rows) {
  at(table).hidden = rows.length === 0;
  at(table).tBodies[0].replaceChildren(...rows.map(([name, ...values]) => el("tr", {}, el("th", { scope: "row" }, name), values.map((value) => el("td", { class: "number" }, value)))));
}

/** Under which words an amount without a way of payment stands. */
const wayName = (method) => (method ? methodName(method) : t("shifts.unsaid"));
const isCash = (method) => method === "" || method === "cash";

function showSheet(answer) {
  const { shift: sheet } = answer;
  const { figures } = sheet;
  isOpen = sheet.until_ms === null;
  putIn(at("day"), serverDay(sheet.from_ms));
  showParts();
  at("back").href = query("/shifts", { day: valueIn(at("day")) });
  at("still-open").hidden = !isOpen;
  const gates = [sheet.gate, ...sheet.lane_edges.map((edge) => gateName(`${sheet.central}/${edge}`))];
  put("sheet-of", [gates.join(" + "), sheet.person, spanText(sheet)].join(" · "));
  showPrintHead(t("shifts.code", { id: sheet.id }));
  const facts = [[t("shifts.opened_at"), momentFull(sheet.from_ms)]];
  if (!isOpen) facts.push([t("shifts.closed_at"), momentFull(sheet.until_ms)], [t("shifts.closed_by"), personName(sheet.closed_by)]);
  if (sheet.note) facts.push([t("shifts.note"), sheet.note]);
  at("facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

  const elsewhere = sheet.inside_at_closing - (sheet.inside_at_opening + figures.entries - figures.exits);
  at("cars").classList.toggle("running", isOpen);
  fill("cars", [
    [t("shifts.inside_before"), number(sheet.inside_at_opening)], [t("shifts.entries"), number(figures.entries)], [t("shifts.exits_out"), number(figures.exits)],
    ...(isOpen ? [] : [...(elsewhere === 0 ? [] : [[t("shifts.elsewhere"), number(elsewhere)]]), [t("shifts.inside_after"), number(sheet.inside_at_closing)]]),
  ]);
  const taken = figures.methods.filter(({ method }) => isCash(method)).reduce((sum, { revenue }) => sum + revenue, 0);
  fill("cash", [
    [t("shifts.opening_cash"), money(sheet.opening_cash)], [t("shifts.taken_cash"), money(taken)],
    [t("shifts.expected"), money(sheet.expected_cash)],
    ...(sheet.excess === 0 ? [] : [[t("shifts.excess"), money(sheet.excess)]]),
    ...(sheet.elsewhere === 0 ? [] : [[t("shifts.told_elsewhere"), money(sheet.elsewhere)]]),
    ...(isOpen ? [] : [[t("shifts.counted"), money(sheet.counted_cash)], [t("shifts.difference"), differenceState(sheet.difference)]]),
  ]);
  at("cash").title = t("shifts.expected_hint");
  const total = [t("shifts.total"), number(figures.exits), money(figures.revenue)];
  fill("methods", [...figures.methods.map(({ method, exits, revenue }) => [wayName(method), number(exits), money(revenue)]), total]);
  const types = new Map();
  for (const { camera_type: type, exits, revenue } of figures.takings) {
    const sum = types.get(type) ?? { exits: 0, revenue: 0 };
    types.set(type, { exits: sum.exits + exits, revenue: sum.revenue + revenue });
  }
  fill("types", [...[...types].map(([type, sum]) => [type === "*" ? t("shifts.any_type") : typeName(type), number(sum.exits), money(sum.revenue)]), total]);

  showTools(sheet);
  at("recounts-part").hidden = sheet.recounts.length === 0;
  at("recounts").replaceChildren(...sheet.recounts.map((again) => el(
    "li", {}, el("span", { class: "quiet" }, momentFull(again.at_ms)), el("span", { class: "name" }, money(again.counted_cash)),
    el("span", { class: "detail" }, [personName(again.by), again.reason].filter(Boolean).join(": ")), el("span", { class: "end" }, differenceState(again.difference)),
  )));
  const since = sheet.addendum;
  at("late-part").hidden = !since;
  if (since) {
    put("late-sum", t("shifts.late_sum", { money: signed(since.revenue), n: signedCount(since.exits) }));
    at("late-ways").replaceChildren(...since.methods.map(({ method, revenue }) => el("li", {}, el("span", { class: "detail" }, wayName(method)), el("span", { class: "end" }, signed(revenue)))));
    put("late-after", afterText(sheet));
  }
  const rest = [];
  if (answer.late_left_off > 0) rest.push(el("li", {}, t("shifts.late_more", { n: number(answer.late_left_off) })));
  if (answer.late_otherwise !== 0) rest.push(el("li", {}, el("span", { class: "detail" }, t("shifts.late_otherwise")), el("span", { class: "end" }, signed(answer.late_otherwise))));
  at("late").replaceChildren(...(answer.late ?? []).map((fact) => factLine(fact)), ...rest);
  at("made-part").hidden = answer.made.length === 0;
  at("made").replaceChildren(...answer.made.map((fact) => factLine(fact)));
  at("elsewhere-part").hidden = answer.elsewhere.length === 0;
  at("elsewhere").replaceChildren(...answer.elsewhere.map((said) => factLine(said, t(said.counts ? "shifts.told_by" : "shifts.told_alone", { central: said.told_by }))));
  showExits(sheet.id, passesMidnight(sheet) ? momentFull : timeToSecond);
}

/** What a lead may do with a sheet: end the shift of somebody who went home, or say what was counted after it was closed. */
async function showTools(sheet) {
  const tools = at("sheet-tools");
  // What is being typed stays.
  if (tools.dataset.of === sheet.id && tools.querySelector("form")) return;
  // Which central this is comes with the feed, and then this is asked again.
  tools.sheet = sheet;
  const account = await me().catch(() => null);
  if (shown !== sheet.id || !state.central) return;
  tools.dataset.of = sheet.id;
  tools.hidden = !account?.may_amend;
  if (tools.hidden) return;
  if (sheet.central !== state.central.id) return tools.replaceChildren(el("p", { class: "quiet" }, t("shifts.elsewhere_only", { central: sheet.central })));
  const what = isOpen ? "close" : "recount";
  const begin = el("button", { type: "button", class: "btn btn-outline-secondary" }, t(isOpen ? "shifts.close_here" : "shifts.recount"));
  begin.addEventListener("click", () => tools.replaceChildren(countForm(sheet, what, () => showTools(sheet))));
  tools.replaceChildren(begin);
}

function countForm(sheet, what, cancelled) {
  const cash = moneyInput(el("input", { class: "form-control", id: "shift-counted_cash", autocomplete: "off" }), number);
  const said = what === "close" ? "note" : "reason";
  const why = el("input", { class: "form-control", id: `shift-${said}`, maxlength: 500, autocomplete: "off" });
  const submit = el("button", { type: "submit", class: "btn btn-primary" }, t(what === "close" ? "shifts.close" : "shifts.recount_save"));
  const cancel = el("button", { type: "button", class: "btn btn-outline-secondary" }, t("common.cancel"));
  const made = el(
    "form", { novalidate: true, class: "panel-body" },
    el("label", { class: "form-label", for: cash.id }, t("shifts.counted_cash")), cash,
    el("label", { class: "form-label", for: why.id }, t(what === "close" ? "shifts.note" : "shifts.recount_reason")), why,
    el("div", { class: "buttons" }, submit, cancel),
  );
  cancel.addEventListener("click", () => {
    made.remove();
    cancelled();
  });
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const counted = readMoney(cash.value);
    mark(cash, counted === null ? t("shifts.not_money") : null);
    if (counted === null || submit.disabled) return;
    submit.disabled = true;
    try {
      await post(`/api/shifts/${encodeURIComponent(sheet.id)}/${what}`, { counted_cash: counted, [said]: why.value.trim() || undefined });
      made.remove();
      toast("good", t(what === "close" ? "shifts.closed_now" : "shifts.recounted", { person: sheet.person }), { about: "shift" });
      load();
    } catch (error) {
      const left = markProblems(error.problems ?? [], (name) => made.querySelector(`#shift-${name}`));
      if ((error.problems ?? []).length === 0 || left.length > 0) toast("bad", left.join("; ") || error.text, { about: "shift" });
    }
    submit.disabled = false;
  });
  return made;
}

/** What a correction made of what. */
function changeText(fact) {
  const way = fact.method_after === null ? "" : `${wayName(fact.method)} → ${wayName(fact.method_after)}`;
  const sum = fact.before === null || fact.before === fact.after ? "" : `${money(fact.before)} → ${money(fact.after)}`;
  return [sum, way].filter(Boolean).join(", ");
}

/** `said`: by which central. */
function factLine(fact, said = "") {
  const kind = fact.restored ? "restored" : fact.kind;
  return el(
    "li", {}, el("span", { class: "quiet" }, momentFull(fact.at_ms)), el("span", { class: "name" }, t(`shifts.kind_${kind}`)),
    el("span", { class: "plate" }, fact.plate_view ?? t("shifts.unread")), el("span", { class: "detail" }, [said, changeText(fact), [personName(fact.by), fact.reason].filter(Boolean).join(": ")].filter(Boolean).join(" · ")),
    el("span", { class: "end" }, signed(fact.amount)),
  );
}

/** How the fee of an exit was paid. */
const ways = ({ method, also, collected }) => waysText({ method, also, amount: also.reduce((rest, way) => rest - way.amount, collected) });

/** The exits, a page at a time; those that are there already stay. */
async function showExits(id, timeText, offset = 0) {
  const { exits, next_offset: next } = await get(query(`/api/shifts/${encodeURIComponent(id)}/exits`, { limit: EXITS, offset }));
  if (shown !== id) return;
  const rows = exits.map((exit) => {
    const odds = [exit.payment_used_twice ? t("common.anomaly_payment_used_twice") : "", exit.forced ? [t("shifts.forced"), exit.reason].filter(Boolean).join(": ") : ""].filter(Boolean);
    const odd = odds.length > 0 ? el("small", { class: "quiet" }, " ", odds.join(" · ")) : null;
    const plate = exit.event_id ? el("a", { class: "plate", href: query("/history", { search: exit.plate_id ?? "" }) }, exit.plate_view ?? "") : t("shifts.unread");
    return el("tr", {}, el("td", {}, timeText(exit.exit_ms)), el("td", {}, plate, odd, el("small", { class: "on-phone" }, ways(exit))), el("td", { class: "of-type" }, typeName(exit.camera_type)), el("td", { class: "of-method" }, ways(exit)), el("td", { class: "number" }, money(exit.collected)));
  });
  const body = at("exits").tBodies[0];
  if (offset === 0) body.replaceChildren(...rows);
  else body.append(...rows);
  at("exits-part").hidden = body.children.length === 0;
  at("more").hidden = next === null;
  at("more").onclick = () => showExits(id, timeText, next);
}

/** Another day, by its distance. */
function move(days) {
  if (!valueIn(at("day"))) return;
  putIn(at("day"), serverDay(Date.parse(`${valueIn(at("day"))}T05:00:00Z`) + days * DAY_MS));
  choose();
}

/** No day is today, which the central knows. */
function choose() {
  shown = "";
  load();
}

await start("shifts");
const heard = askingAgain(load);
dateInputs();
putIn(at("day"), new URLSearchParams(location.search).get("day") ?? "");
at("day").addEventListener("change", choose);
at("day-before").addEventListener("click", () => move(-1));
at("day-after").addEventListener("click", () => move(1));
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("print").addEventListener("click", () => print());
load();
// The name of the site comes after the sheet, and the minute passes.
watch(["central"], () => {
  showPrintHead();
  if (shown && at("sheet-tools").sheet) showTools(at("sheet-tools").sheet);
});
addEventListener("beforeprint", () => showPrintHead());
let lastShift = "";
watch(["events"], ({ events }) => {
  const last = events.find((line) => line.kind.startsWith("shift_"));
  if (!last || last.id === lastShift) return;
  const isFirst = lastShift === "";
  lastShift = last.id;
  if (!isFirst) load();
});
setInterval(() => { if (!shown || isOpen) load(); }, LOOK_AGAIN_MS);
