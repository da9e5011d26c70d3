// Cổng: the console of a person at a gate. One car in hand at a time, one big button.
//
// - A car in hand stays until the person is done with it: no read takes its place, whatever the camera sees.
// - Whatever changes what a button means makes all buttons rest for a second (gate/rest.js).
// - A press is sent once, and a press whose answer never came is repeated with the same request id, which the central answers
//   as it answered the first.

import { askForce } from "./gate/force.js";
import { inHand } from "./gate/given.js";
import { missing, showMissing } from "./gate/missing.js";
import { near, plateKey, typeByPlate } from "./gate/plates.js";
import { showMatches, showNear } from "./gate/near.js";
import { Queue } from "./gate/queue.js";
import { askReceived, covers, paidWith, rest } from "./gate/received.js";
import { restWhenChanged } from "./gate/rest.js";
import { followShift } from "./gate/shift.js";
import { play, soundIsOn, turnSound } from "./gate/sound.js";
import { showTransfer } from "./gate/transfer.js";
import { verdict } from "./gate/verdict.js";
import { get, post, query } from "./lib/api.js";
import { at, el, icon, keyed, put } from "./lib/dom.js";
import { feeLines, linesText } from "./lib/fee.js";
import { centralNow, gateName, state, watch } from "./lib/feed.js";
import { ago, moment, money, number, serverDay, siteTime, stayText } from "./lib/format.js";
import { mark } from "./lib/forms.js";
import { MOST_VND, amountProblem, doubtful, moneyInput, readMoney } from "./lib/money.js";
import { toast } from "./lib/notices.js";
import { printReceipt } from "./lib/receipt.js";
import { USUAL_TYPES, hasText, problemText, t, typeName } from "./lib/texts.js";
import { start } from "./shell.js";

const LOOK_AGAIN_MS = 15_000;
const RECENT = 6;
/** Of more centrals the number is enough. */
const MOST_NAMED = 3;
/** Below this the person should look at the plate. */
const SURE = 0.8;
/** How a fee is paid at a gate; each car begins with the first. */
const METHODS = ["cash", "qr", "card", "transfer", "account"];
/** Those that name the code that was shown. */
const BY_CODE = ["qr", "transfer"];
/** Those used within so many days stand ready. */
const METHODS_DAYS = 14;
let usesMore = false;

/** The car in hand: `{plate, view, type, typeFrom, read, info, received, method, given, request, pressed, done, refused, promised}`. `given`: the cash that was typed, or null; `received`: what a
 * bank says came in for it; `read`: of the queue,
 * or null if typed; `pressed`: the direction of a press that is not settled; `done`: what the barrier was opened for; `refused`:
 * the code of a refusal; `promised`: the fee that stood in the button. */
let car = null;
let busy = false;
let editing = false;
let queue = new Queue();
let fees = { types: {} };

const gate = () => at("gate").value;
const member = () => state.gates[`${state.central?.id}/${gate()}`];
/** The lane as the settings say, else as the person chose for this device; null: both ways. */
const lane = () => member()?.lane ?? (localStorage.getItem(`lane-${gate()}`) || null);

/** 128 random bits, also where the page is not served over TLS. */
const requestId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function showGates({ gates, central }) {
  const own = Object.values(gates).filter((one) => one.central === central.id).sort((a, b) => a.edge.localeCompare(b.edge, undefined, { numeric: true }));
  const wanted = gate() || new URLSearchParams(location.search).get("edge") || localStorage.getItem("gate");
  // A gate that was never used has no entry yet: it can still be chosen by its address.
  const ids = [...new Set([...own.map((one) => one.edge), ...(wanted ? [wanted] : []), ...(own.length === 0 && !wanted ? ["edge-1"] : [])])];
  keyed(at("gate"), ids, (id) => id, (id) => el("option", { value: id }), (option, id) => {
    const name = gates[`${central.id}/${id}`]?.name;
    const isShared = own.some((other) => other.edge !== id && other.name === name);
    put(option, name && !isShared ? name : name ? `${name} (${id})` : id);
  });
  if (wanted && gate() !== wanted) at("gate").value = wanted;
  showLane();
  hear();
}

function showLane() {
  const fixed = member()?.lane ?? null;
  put("lane", fixed ? t(`gate.lane_${fixed}`) : "");
  at("swap").hidden = fixed !== null;
  for (const button of at("swap").children) {
    const chosen = button.dataset.lane === (lane() ?? "");
    button.setAttribute("aria-pressed", String(chosen));
    button.classList.toggle("active", chosen);
  }
  put("idle-lane", member()?.name || gate());
  if (state.lot) put("idle-lot", t("gate.lot", { n: number(state.lot.inside) }));
}

/** What the camera read, and what was done at this gate already, here or on another screen. */
function hear() {
  for (const line of state.events) {
    if (line.central === state.central.id && line.edge === gate() && ["entry", "exit"].includes(line.kind)) queue.settle(line.plate_id, line.at_ms);
  }
  queue.hear(member()?.seen ?? []);
  const next = upcoming();
  const idle = car === null && !busy && at("plate").value.trim() === "";
  if (next && idle && Queue.isFresh(next, centralNow())) take(next);
  else render();
}

const upcoming = () => queue.next(centralNow(), car?.read?.plate);

function showQueue() {
  const waiting = queue.waiting(centralNow());
  at("nothing-seen").hidden = waiting.length > 0;
  keyed(at("seen"), waiting, (read) => `${read.plate}-${read.firstMs}`, () => {
    const button = el("button", { type: "button", class: "btn btn-outline-secondary" }, el("span", { class: "plate" }), el("small", {}));
    return el("li", {}, button);
  }, (item, read) => {
    const button = item.firstElementChild;
    button.onclick = () => take(read);
    put(item.querySelector(".plate"), read.view);
    const isCurrent = car?.read?.plate === read.plate;
    if (isCurrent) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    const like = !isCurrent && car && near(read.plate, plateKey(car.plate));
    put(item.querySelector("small"), t(isCurrent ? "gate.current" : like ? "gate.alike" : "gate.read_ago", { age: ago(read.lastMs, centralNow()) }));
  });
  at("unskip").hidden = !queue.skipped;
  if (queue.skipped) put("unskip", t("gate.unskip", { plate: queue.skipped.view }));
}

function take(read) {
  play("car");
  lookUp({ plate: read.plate, view: read.view, type: read.type, read });
}

/** Takes a car in hand and asks what is known of it. */
function lookUp({ plate, view = null, type = "", read = null }) {
  const guessed = type === "" ? typeByPlate(plate) : null;
  const asked = {
    plate, view, read, type: type || guessed || "car", typeFrom: type ? "camera" : guessed ? "plate" : "none",
    info: null, received: null, method: METHODS[0], given: null, request: requestId(), pressed: null, done: null, refused: null, promised: null, problem: null,
  };
  car = asked;
  editing = false;
  at("plate").value = "";
  at("given").value = "";
  mark(at("given"), null);
  showMatches("");
  render();
  showWhole();
  return refresh(asked);
}

/** Whoever had scrolled to what waits sees whose button it is that stands there now. */
function showWhole() {
  at("seen-car").scrollIntoView({ block: "nearest" });
}

async function refresh(asked) {
  try {
    const body = { edge_id: gate(), plate_id: asked.plate, plate_view: asked.view, camera_type: asked.type, lookup: true };
    const { vehicle_info } = await post("/api/edge/detection", body);
    if (car !== asked || busy || asked.done) return;
    const isNew = asked.info === null;
    // What came in is for a stay: of another one nothing is known yet.
    if (asked.info?.event_id !== vehicle_info.event_id) asked.received = null;
    asked.info = vehicle_info;
    // Each time: an answer may have been lost, or come while a press was under way.
    followPayments(asked);
    asked.view = vehicle_info.plate_view;
    asked.problem = null;
    if (isNew && judged().tone === "bad") play("bad");
  } catch (error) {
    if (car !== asked) return;
    const [field] = (error.problems ?? []).map((problem) => problem.field);
    asked.problem = field === "edge_id" ? t("gate.bad_gate") : error.code === "invalid_field" ? t("gate.no_plate") : error.text;
  }
  render();
}

/** What a bank says came in for a car that owes something. */
async function followPayments(asked) {
  const stay = asked.info?.event_id;
  if (!stay || !(asked.info.fee > 0)) return;
  const found = await askReceived(stay);
  if (car !== asked || busy || asked.done || found === undefined || asked.info.event_id !== stay) return;
  asked.received = found;
  render();
}

/** A payment was told: if it is for the car in hand, the person sees it at once. */
function hearPayments({ events }) {
  const last = events.filter((line) => line.kind.startsWith("payment") && line.stay && line.stay === car?.info?.event_id).pop();
  if (!last || last.id === car.heardPayment) return;
  car.heardPayment = last.id;
  followPayments(car);
}

/** What the press would be: what it was, if its answer was lost; else as the lane says; else by whether the car is inside. */
const direction = () => car.pressed ?? lane() ?? (car.info?.already_inside ? "EXIT" : "ENTRY");
const judged = () => verdict({ ...car, direction: direction() });

let restIf = () => {};
/** What stands above the buttons moves them: another one may have come under the finger. */
const ABOVE = ["notices", "told", "transfer", "near"];

function render() {
  at("idle").hidden = car !== null;
  at("seen-car").hidden = car === null;
  at("car").hidden = car === null;
  document.body.classList.toggle("in-hand", car !== null);
  if (car) showCar();
  showQueue();
  const shown = ["open", "close", "next", "force", "skip"].map((id) => (at(id).hidden ? "" : at(id).textContent));
  restIf([car?.request ?? "", ...shown, upcoming()?.plate ?? "", ...ABOVE.map((id) => at(id).offsetHeight)].join("\n"));
}

function showCar() {
  const { info, done } = car;
  const { tone, says, code } = judged();
  at("car").dataset.tone = tone;
  showPlate();
  const values = { received: cameText(car.received), fee: money(info?.fee), rest: money(rest(car)), time: info?.entry_time ? siteTime(info.entry_time) : "", from: gateName(info?.entry_from ?? ""), subscription: info?.subscription ?? "" };
  put("car-state", car.problem && !info ? "" : t(`gate.says_${says}`, values));
  put("amount", done ? (done.action === "EXIT" ? money(done.fee) : "") : says === "owes" ? values.rest : "");
  const isPart = says === "owes" && car.received;
  put("advice", tone === "bad" ? t(`gate.advice_${code}`, values) : isPart ? t("gate.received_part", values) : "");
  const leaves = !done && info?.already_inside;
  facts(leaves ? [[t("gate.duration"), stayText(info.duration)], [t("gate.entry_time"), values.time], [t("gate.entry_from"), values.from]] : []);
  const lines = leaves && direction() === "EXIT" ? info.lines ?? [] : [];
  put("fee-of", leaves ? [typeName(info.entered_as || car.type), linesText(lines)].filter(Boolean).join(" · ") : "");
  // One line alone is the amount again.
  at("fee-lines").replaceChildren(...(lines.length > 1 ? [feeLines(lines)] : []));
  const problem = done?.repeated ? t("gate.repeated") : done && car.promised !== null && done.fee !== car.promised ? t("gate.other_fee", { promised: money(car.promised), fee: money(done.fee) }) : car.problem;
  at("problem").hidden = !problem;
  put("problem", problem ?? "");
  showNotes(done);
  showOldData(says);
  showNear(says === "not_inside" ? car : null, lookUpOf);
  showTypes(tone);

  // A plate that is being changed is not the one that would be let through.
  const may = info !== null && !done && tone !== "bad" && !editing;
  const entering = direction() === "ENTRY";
  at("open").hidden = !may;
  if (may) {
    const fee = money(takenHere().taken);
    putTogether("open", busy ? t("gate.opening") : t(entering ? "gate.open_entry" : info.fee > 0 && !covers(car) ? "gate.open_paid" : "gate.open_exit", { ...values, fee }), fee);
  }
  const pays = may && !entering && info.fee > 0 && !covers(car);
  showMethod(pays);
  showGiven(pays);
  // What is put into the hand is not transferred.
  const toTransfer = pays ? takenHere().ways.find(({ method }) => method === car.method)?.amount ?? 0 : 0;
  showTransfer(car, toTransfer, toTransfer > 0 && !busy, render);
  at("force").hidden = tone !== "bad" || !canForce(code) || editing;
  at("skip").hidden = done !== null || busy;
  at("close").hidden = done?.action !== "ENTRY";
  at("next").hidden = done === null;
  at("receipt").hidden = done?.action !== "EXIT";
  if (done) {
    const next = upcoming();
    put("next", next ? t("gate.next_car", { plate: next.view }) : t("gate.next"));
    at("next").classList.toggle("open", done.action === "EXIT");
  }
}

/** Sets a text in which `part` is not broken over two lines. */
function putTogether(id, text, part) {
  if (at(id).textContent === text) return;
  const [before, after] = text.split(part);
  at(id).replaceChildren(before, ...(after === undefined ? [] : [el("span", { class: "text-nowrap" }, part), after]));
}

/** What came in: one way, or the sum and its ways. */
function cameText(received) {
  const ways = (received?.ways ?? []).map((way) => `${money(way.amount)} · ${t(`common.paid_${way.method}`)}`);
  return ways.length > 1 ? `${money(received.amount)} (${ways.join(" + ")})` : ways.join("");
}

/** How it is paid is recorded with the exit: one press where more than cash is used, else out of the way. */
function showMethod(shown) {
  at("method-part").hidden = !shown;
  if (!shown) return;
  at("method").value = car.method;
  at("method-part").classList.toggle("several", usesMore);
  at("method").hidden = usesMore;
  at("methods").hidden = !usesMore;
  for (const button of at("methods").children) {
    const chosen = button.dataset.method === car.method;
    button.setAttribute("aria-pressed", String(chosen));
    button.classList.toggle("active", chosen);
  }
}

/** What is taken here of the car in hand, as it is now. */
const takenHere = () => inHand({ due: rest(car), given: car.given, way: { method: car.method } });

/** What is put into the hand is typed only where somebody has to reckon: what to give back, or how much of it is cash. */
function showGiven(shown) {
  at("given-part").hidden = !shown;
  if (!shown) return;
  put("given-name", t(car.method === "cash" ? "gate.given" : "gate.given_cash"));
  if (document.activeElement !== at("given")) at("given").value = car.given === null ? "" : number(car.given);
  const { says, amount } = takenHere();
  put("given-says", says ? t(`gate.given_${says}`, { amount: money(amount), method: t(`common.paid_${car.method}`) }) : "");
}

/** Whether anybody paid otherwise than in cash lately, at any gate of the site. */
async function askMethods() {
  const { takings } = await get(query("/api/takings", { from: serverDay(centralNow() - METHODS_DAYS * 86_400_000), to: serverDay(centralNow()) }));
  usesMore = takings.some(({ method }) => METHODS.indexOf(method) > 0);
}

function showPlate() {
  at("car-plate").hidden = editing;
  at("edit").hidden = !editing;
  const plate = put("car-plate", car.view ?? car.plate).textContent;
  at("seen-car").style.setProperty("--characters", plate.length);
  at("car-plate").disabled = car.done !== null || busy;
  const { read } = car;
  const unsure = read?.confidence !== null && read?.confidence !== undefined && read.confidence < SURE;
  at("read").className = `read${unsure && !car.done ? " wait" : ""}`;
  const confidence = read?.confidence ? number(Math.round(read.confidence * 100)) : "";
  put("read", car.done ? "" : read === null ? t("gate.typed") : t(unsure ? "gate.read_unsure" : "gate.read_at", { age: ago(read.lastMs, centralNow()), confidence }));
}

/** What was told and is not used as told, and what is odd about the car: in the words of the program. */
function showNotes(done) {
  const notes = done?.notes ?? [];
  at("notes").hidden = notes.length === 0;
  put("notes", notes.map(problemText).join(" · "));
}

/** A decision on old data is said to be one, where the data decides it; since when and what it means is said further down. */
function showOldData(says) {
  const found = ["not_inside", "new"].includes(says) ? missing(state) : [];
  at("old-data").hidden = found.length === 0;
  const ids = found.map(([id]) => id);
  put("old-data", ids.length > 0 ? t("gate.old_data", { ids: ids.slice(0, MOST_NAMED).join(", ") + (ids.length > MOST_NAMED ? ` +${ids.length - MOST_NAMED}` : "") }) : "");
}

function facts(rows) {
  at("facts").replaceChildren(...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

const allTypes = (own) => [...new Set([...USUAL_TYPES, ...Object.keys(fees.types ?? {}), own])].filter(Boolean);

/** The type picks the price: shown with where it is from, and what it costs. */
function showTypes(tone) {
  const shown = car.info !== null && !car.info.already_inside && !car.done && (tone === "good" || direction() === "ENTRY");
  at("types-set").hidden = !shown;
  if (!shown) return;
  const perHour = (type) => {
    const rate = fees.types?.[type] ?? fees;
    return Number.isFinite(rate.fee_per_hour) && !rate.plan ? t("gate.per_hour", { fee: money(rate.fee_per_hour) }) : "";
  };
  at("types-legend").replaceChildren(t(`gate.type_from_${car.typeFrom}`), el("span", { class: "of-type" }, perHour(car.type)));
  const types = allTypes(car.type);
  keyed(at("types"), types, (type) => type, () => el("button", { type: "button", class: "btn btn-outline-secondary" }, el("span"), el("small")), (button, type) => {
    put(button.firstElementChild, typeName(type));
    put(button.lastElementChild, perHour(type));
    button.classList.toggle("active", car.type === type);
    button.setAttribute("aria-pressed", String(car.type === type));
    button.onclick = () => { car.type = type; car.typeFrom = "person"; render(); };
  });
}

/** A guess is told of a car that comes in or of which nothing is known; of one that is inside only what was seen. */
function typeToTell({ type, typeFrom, info, pressed }) {
  const isGuess = !["camera", "person"].includes(typeFrom);
  return pressed === "EXIT" && isGuess && (info?.entered_as || typeFrom === "none") ? undefined : type || undefined;
}

/** Opens. `more`: `force`, its reason and a fee, after the person said so; `typed`: what of that fee is taken at this gate. */
async function open(more = {}, typed = null) {
  if (busy || !car?.info || car.done) return;
  busy = true;
  const asked = car;
  asked.pressed = direction();
  asked.promised = asked.pressed === "EXIT" && !more.force ? asked.info.fee ?? null : null;
  render();
  const body = { edge_id: gate(), plate_id: asked.plate, plate_view: asked.view, camera_type: typeToTell(asked), direction: asked.pressed, request_id: asked.request, ...more };
  if (asked.pressed === "EXIT" && !more.force && covers(asked)) body.paid = paidWith(asked.received);
  else if (asked.pressed === "EXIT" && (more.fee ?? asked.info.fee ?? 0) > 0) {
    const way = { method: asked.method, ...(asked.reference && BY_CODE.includes(asked.method) ? { reference: asked.reference } : {}) };
    const amount = typed ?? (asked.promised ? rest(asked) : undefined);
    const hand = typed === null && asked.promised ? inHand({ due: amount, given: asked.given, way }) : { ways: [{ ...way, amount }], taken: amount };
    // The button says what is taken.
    if (hand.taken < amount) asked.promised -= amount - hand.taken;
    body.paid = paidWith(asked.received, amount === 0 && asked.received ? [] : hand.ways);
  }
  let refused = null;
  try {
    asked.done = await post("/api/edge/barrier/open", body);
    asked.problem = null;
  } catch (error) {
    refused = error;
  }
  busy = false;
  if (asked.done) {
    queue.settle(plateKey(asked.plate), centralNow());
    if (asked.read) queue.settle(asked.read.plate, centralNow());
  }
  if (car !== asked) return render();
  if (refused) explain(asked, refused);
  render();
  showWhole();
}

function explain(asked, error) {
  if (error.status !== 409) {
    // It may have happened: the same request id finds out.
    asked.problem = error.status === 0 || error.status === 503 ? t("gate.press_again", { reason: error.text }) : error.text;
    return;
  }
  // What was refused is settled: the next press is another request.
  asked.request = requestId();
  asked.pressed = null;
  if (error.body.vehicle_info) {
    if (asked.info?.event_id !== error.body.vehicle_info.event_id) asked.received = null;
    asked.info = error.body.vehicle_info;
  }
  asked.refused = hasText(`gate.says_${error.code}`) && error.code === "long_stay" ? error.code : null;
  asked.problem = judged().tone === "bad" ? null : hasText(`gate.why_${error.code}`) ? t(`gate.why_${error.code}`) : error.text;
  play("bad");
}

const canForce = (code) => ["already_inside", "not_inside", "long_stay"].includes(code);

/** Opening against what is known: asked for with its reason, and not sent if what was wrong no longer is. */
async function forced() {
  const asked = car;
  const { code } = judged();
  const type = asked.typeFrom === "none" ? "" : asked.type;
  const answer = await askForce(code, direction(), { plate: asked.view ?? asked.plate, info: asked.info, due: rest(asked), came: cameText(asked.received), methods: METHODS, types: allTypes(asked.type), type });
  if (!answer || car !== asked) return;
  await refresh(asked);
  if (car !== asked || judged().code !== code) return toast("wait", t("gate.changed_meanwhile"));
  const { method, type: chosen, ...more } = answer;
  if (method) asked.method = method;
  if (chosen !== undefined) [asked.type, asked.typeFrom] = [chosen, chosen === "" ? "none" : "person"];
  // What came in is a part of the fee, and what was typed is what is taken here.
  const came = more.fee === undefined ? 0 : asked.received?.amount ?? 0;
  if (came > 0) await open({ force: true, ...more, fee: more.fee + came }, more.fee);
  else await open({ force: true, ...more });
}

async function close() {
  const asked = car;
  if (!asked?.done || busy) return;
  busy = true;
  try {
    const { confirmed } = await post("/api/edge/barrier/close", { edge_id: gate(), event_id: asked.done.event_id });
    toast(confirmed ? "good" : "wait", t(confirmed ? "gate.closed" : "gate.closed_before"), { about: "closing" });
    busy = false;
    if (car === asked) finish();
  } catch (error) {
    busy = false;
    toast("bad", error.text, { about: "closing" });
  }
}

/** What the customer gets in the hand, as the history has it. */
async function receipt() {
  try {
    const { row } = await get(`/api/parking/history/${encodeURIComponent(car.done.event_id)}/story`);
    printReceipt(row);
  } catch (error) {
    toast("bad", error.text ?? String(error), { about: "receipt" });
  }
}

/** The person is done with this car: now the next may come, `read` if that one was promised. */
function finish(read = null) {
  car = null;
  editing = false;
  if (matchMedia("(pointer: fine)").matches) at("plate").focus();
  if (read) take(read);
  else hear();
}

function skip() {
  const { read } = car;
  if (read) queue.skip(read.plate, centralNow());
  finish();
}

function edit() {
  editing = true;
  at("edit-plate").value = car.view ?? car.plate;
  render();
  at("edit-plate").focus();
  at("edit-plate").select();
}

/** Another plate for the car in hand: what the camera read stays with it. */
function lookUpOf(plate, view = null) {
  const { read } = car;
  // A type the camera told belongs to the car, not to its plate.
  lookUp({ plate, view, type: read?.type ?? "", read });
}

/** A plate that is typed or picked beside a car nobody knows is that car's; else it is another car's. */
function lookUpTyped(plate, view = null) {
  if (car?.info && !car.done && judged().code === "not_inside") lookUpOf(plate, view);
  else lookUp({ plate, view });
}

function showRecent({ events, central }) {
  const here = events.filter((line) => line.central === central.id && line.edge === gate() && line.kind !== "confirmed").slice(-RECENT).reverse();
  at("no-recent").hidden = here.length > 0;
  keyed(at("recent"), here, (line) => line.id, () => el("li"), (row, line) => {
    row.replaceChildren(
      el("span", { class: "quiet" }, moment(line.at_ms, centralNow())), el("span", {}, t(`common.kind_${line.kind}`)),
      el("span", { class: "plate" }, line.plate_view ?? line.plate_id ?? ""), el("span", { class: "end" }, line.kind === "exit" ? [line.fee > 0 && line.method ? `${[line.method, ...(line.also ?? [])].map((way) => t(`common.paid_${way}`)).join(" + ")} · ` : "", money(line.fee)].join("") : ""),
    );
  });
}

function showSound() {
  at("sound").replaceChildren(soundIsOn() ? icon("volume-up") : icon("volume-mute"));
  at("sound").setAttribute("aria-pressed", String(soundIsOn()));
}

/** Another gate: its own queue and lane. */
function changeGate() {
  localStorage.setItem("gate", gate());
  queue = new Queue();
  car = null;
  showGates(state);
  showRecent(state);
}

await start("gate", "shifts");
at("method").replaceChildren(...METHODS.map((method) => el("option", { value: method }, t(`common.paid_${method}`))));
at("method").addEventListener("change", () => { car.method = at("method").value; render(); });
at("methods").replaceChildren(...METHODS.map((method) => {
  const choose = () => { car.method = method; render(); };
  return el("button", { type: "button", class: "btn btn-outline-secondary", "data-method": method, onclick: choose }, t(`common.paid_${method}`));
}));
moneyInput(at("given"), number);
at("given").addEventListener("input", () => {
  if (!car) return;
  car.given = at("given").value.trim() === "" ? null : readMoney(at("given").value);
  mark(at("given"), null);
  render();
});

/** Whether what was typed as given can be meant; else it is said what is odd. So little is asked about once: whoever presses again means it. */
function givenIsMeant() {
  const text = at("given").value.trim();
  if (at("given-part").hidden || text === "") return true;
  const wrong = amountProblem(car.given);
  const isOdd = !wrong && doubtful(car.given) !== null && car.sureOf !== car.given;
  mark(at("given"), wrong ? t(wrong, { most: money(MOST_VND) }) : isOdd ? t("gate.fee_doubt", { fee: money(car.given) }) : null);
  if (!wrong && !isOdd) return true;
  car.sureOf = wrong ? null : car.given;
  at("given").focus();
  return false;
}
restIf = restWhenChanged(at("console"), ".pick, .shift, .plate-form, .edit");
const moved = new ResizeObserver(render);
for (const id of ABOVE) moved.observe(at(id));
at("plate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const plate = at("plate").value.trim();
  if (plate && !busy) lookUpTyped(plate);
});
at("plate").addEventListener("input", () => showMatches(lane() === "ENTRY" ? "" : at("plate").value, lookUpTyped));
at("edit").addEventListener("submit", (event) => {
  event.preventDefault();
  const plate = at("edit-plate").value.trim();
  if (plate) lookUpOf(plate);
});
at("edit-cancel").addEventListener("click", () => { editing = false; render(); });
at("car-plate").addEventListener("click", edit);
at("gate").addEventListener("change", changeGate);
for (const button of at("swap").children) {
  button.addEventListener("click", () => {
    localStorage.setItem(`lane-${gate()}`, button.dataset.lane);
    showLane();
    render();
  });
}
at("sound").addEventListener("click", () => { turnSound(!soundIsOn()); showSound(); });
at("open").addEventListener("click", () => { if (givenIsMeant()) open(); });
at("force").addEventListener("click", forced);
at("close").addEventListener("click", close);
at("next").addEventListener("click", () => finish(upcoming()));
at("skip").addEventListener("click", skip);
at("receipt").addEventListener("click", receipt);
at("unskip").addEventListener("click", () => {
  const read = queue.unskip();
  if (car === null && read) take(read);
  else render();
});
showSound();
get("/api/parking/fees").then((answer) => { fees = answer.fees; }, () => {});
askMethods().then(render, () => {});
watch(["gates", "central", "events", "lot"], showGates);
watch(["events", "gates", "central"], showRecent);
watch(["events"], hearPayments);
watch(["peers", "freshness"], showMissing);
followShift(gate);
// Without a mouse a focused field would bring up the keyboard; from here it is the next tab.
if (document.activeElement === document.body) at(matchMedia("(pointer: fine)").matches ? "plate" : "seen-title").focus({ preventScroll: true });
setInterval(() => {
  if (state.number === null) return;
  if (car?.info && !car.done && !busy && !editing) refresh(car);
  showMissing(state);
  hear();
}, LOOK_AGAIN_MS);
