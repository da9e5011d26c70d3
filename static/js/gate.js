// Cổng: the console of a person at a gate. One car at a time, one big button.
//
// A press is sent once: the button rests while it is under way, and a press whose answer never came is repeated with the same
// request id, which the central answers as it answered the first.

import { get, post } from "./lib/api.js";
import { askForce } from "./gate/force.js";
import { showMissing } from "./gate/missing.js";
import { at, el, keyed, put } from "./lib/dom.js";
import { centralNow, state, watch } from "./lib/feed.js";
import { ago, moment, money, siteTime, stayText } from "./lib/format.js";
import { toast } from "./lib/notices.js";
import { t, typeName } from "./lib/texts.js";
import { start } from "./shell.js";

const LOOK_AGAIN_MS = 15_000;
/** A finger that hits twice hits within this time. */
const REST_MS = 800;
const RECENT = 6;

/** The car at hand: `{plate, view, type, info, request, pressed, done}`. `pressed`: the direction of a press that is not settled;
 * `done`: what the barrier was opened for. */
let car = null;
let busy = false;
let types = [];
/** The detection that was taken up last. */
let takenMs = 0;

const gate = () => at("gate").value;
const lane = () => state.gates[`${state.central?.id}/${gate()}`]?.lane ?? null;

/** 128 random bits, also where the page is not served over TLS. */
const requestId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function showGates({ gates, central }) {
  const own = Object.values(gates).filter((one) => one.central === central.id).sort((a, b) => a.edge.localeCompare(b.edge, undefined, { numeric: true }));
  const wanted = gate() || new URLSearchParams(location.search).get("edge") || localStorage.getItem("gate");
  // A gate that was never used has no entry yet: it can still be chosen by its address.
  const ids = [...new Set([...own.map((one) => one.edge), ...(wanted ? [wanted] : []), ...(own.length === 0 && !wanted ? ["edge-1"] : [])])];
  keyed(at("gate"), ids, (id) => id, (id) => el("option", { value: id }), (option, id) => {
    const name = gates[`${central.id}/${id}`]?.name;
    put(option, name ? `${name} (${id})` : id);
  });
  if (wanted && gate() !== wanted) at("gate").value = wanted;
  put("lane", lane() ? t(`gate.lane_${lane()}`) : t("gate.lane_both"));
  showSeen();
}

/** What the camera of this gate read; the newest is taken up if no other car is being dealt with. */
function showSeen() {
  const seen = (state.gates[`${state.central.id}/${gate()}`]?.seen ?? []).toReversed();
  at("nothing-seen").hidden = seen.length > 0;
  keyed(at("seen"), seen, (one) => `${one.at_ms}-${one.plate_id}`, (one) => {
    const button = el("button", { type: "button", class: "btn btn-outline-secondary" }, el("span", { class: "plate" }, one.plate_view), el("small", {}));
    button.addEventListener("click", () => take(one));
    return el("li", {}, button);
  }, (item, one) => put(item.querySelector("small"), ago(one.at_ms, centralNow())));
  const newest = seen[0];
  if (newest && newest.at_ms > takenMs && (car === null || car.done) && !busy && at("plate").value.trim() === "" && centralNow() - newest.at_ms < 60_000) take(newest);
}

function take(one) {
  takenMs = Math.max(takenMs, one.at_ms);
  lookUp(one.plate_id, one.plate_view, one.camera_type);
}

/** Asks what is known of this car. */
async function lookUp(plate, view, type) {
  const asked = { plate, view, type: type ?? "", info: null, request: requestId(), pressed: null, done: null };
  car = asked;
  at("plate").value = "";
  render();
  await refresh(asked);
}

async function refresh(asked) {
  try {
    const body = { edge_id: gate(), plate_id: asked.plate, plate_view: asked.view, camera_type: asked.type, lookup: true };
    const { vehicle_info } = await post("/api/edge/detection", body);
    if (car !== asked) return;
    asked.info = vehicle_info;
    asked.view = vehicle_info.plate_view;
    asked.problem = null;
  } catch (error) {
    if (car !== asked) return;
    asked.problem = error.code === "invalid_field" ? t("gate.no_plate") : error.text;
  }
  render();
}

/** What the press would be: what it was, if its answer was lost; else as the lane says; else by whether the car is inside. */
const direction = () => car.pressed ?? lane() ?? (car.info?.already_inside ? "EXIT" : "ENTRY");

function render() {
  at("car").hidden = car === null;
  at("open").hidden = car === null || car.info === null || car.done !== null;
  at("after").hidden = car === null || car.done === null;
  if (car === null) return;
  const { info, done } = car;
  put("car-plate", car.view ?? car.plate);
  at("problem").hidden = !car.problem;
  put("problem", car.problem ?? "");
  at("types-set").hidden = info === null || info.already_inside || done !== null || types.length < 2;
  showTypes();
  const where = at("car-state");
  if (done) {
    where.className = "where good";
    put(where, t(done.action === "ENTRY" ? "gate.opened_entry" : "gate.opened_exit"));
    facts(done.action === "EXIT" ? [[t("gate.fee"), money(done.fee), "fee"], [t("gate.duration"), stayText(done.duration)]] : []);
    if (done.repeated) put("problem", t("gate.repeated"));
    at("problem").hidden = !done.repeated;
    at("close").hidden = done.action !== "ENTRY";
    return;
  }
  if (info === null) {
    where.className = "where quiet";
    put(where, car.problem ? "" : t("gate.asking"));
    return facts([]);
  }
  where.className = `where ${info.already_inside ? "good" : "quiet"}`;
  put(where, t(info.already_inside ? "gate.inside" : "gate.not_inside"));
  const subscription = info.subscription ? [[t("gate.subscription"), info.subscription]] : [];
  facts(info.already_inside
    ? [[t("gate.fee"), money(info.fee), "fee"], [t("gate.duration"), stayText(info.duration)], [t("gate.entry_time"), siteTime(info.entry_time)], [t("gate.entry_from"), info.entry_from], ...subscription]
    : subscription);
  const button = at("open");
  button.className = `btn open ${direction() === "EXIT" ? "btn-warning" : "btn-primary"}`;
  put(button, busy ? t("gate.opening") : direction() === "EXIT" ? t("gate.open_exit") : t("gate.open_entry"));
  button.disabled = busy;
}

function facts(rows) {
  at("facts").replaceChildren(...rows.map(([name, value, kind]) => el("div", { class: kind }, el("dt", {}, name), el("dd", {}, value))));
}

function showTypes() {
  at("types").replaceChildren(...types.map((type) => {
    const button = el("button", { type: "button", class: `btn btn-outline-secondary${car.type === type ? " active" : ""}`, "aria-pressed": String(car.type === type) }, typeName(type));
    button.addEventListener("click", () => { car.type = type; render(); });
    return button;
  }));
}

/** Opens. `more`: `force` and a fee, after the person said so. */
async function open(more = {}) {
  if (busy) return;
  busy = true;
  const asked = car;
  render();
  asked.pressed = direction();
  const body = { edge_id: gate(), plate_id: asked.plate, plate_view: asked.view, camera_type: asked.type, direction: asked.pressed, request_id: asked.request, ...more };
  let refused = null;
  try {
    asked.done = await post("/api/edge/barrier/open", body);
  } catch (error) {
    refused = error;
  }
  busy = false;
  rest();
  if (car !== asked) return render();
  if (refused) await explain(asked, refused, body.direction);
  render();
}

/** The button that now stands where the finger was. */
function rest() {
  for (const id of ["open", "close"]) at(id).inert = true;
  setTimeout(() => { for (const id of ["open", "close"]) at(id).inert = false; }, REST_MS);
}

async function explain(asked, error, direction) {
  if (error.status !== 409) {
    // It may have happened: the same request id finds out.
    asked.problem = error.status === 0 || error.status === 503 ? t("gate.press_again", { reason: error.text }) : error.text;
    return;
  }
  // What was refused is settled: the next press is another request.
  asked.request = requestId();
  asked.pressed = null;
  if (error.body.vehicle_info) asked.info = error.body.vehicle_info;
  const force = await askForce(error, direction, asked.info);
  if (force) await open({ force: true, direction, ...force });
  else refresh(asked);
}

async function close() {
  const { done } = car;
  at("close").disabled = true;
  try {
    const { confirmed } = await post("/api/edge/barrier/close", { edge_id: gate(), event_id: done.event_id });
    toast(confirmed ? "good" : "wait", t(confirmed ? "gate.closed" : "gate.closed_before"));
    finish();
  } catch (error) {
    toast("bad", error.text);
  }
  at("close").disabled = false;
}

function finish() {
  car = null;
  render();
  at("plate").focus();
  showSeen();
}

function showRecent({ events, central }) {
  const here = events.filter((line) => line.central === central.id && line.edge === gate() && line.kind !== "confirmed").slice(-RECENT).reverse();
  at("no-recent").hidden = here.length > 0;
  keyed(at("recent"), here, (line) => line.id, () => el("li"), (row, line) => {
    row.replaceChildren(
      el("span", { class: "quiet" }, moment(line.at_ms, centralNow())), el("span", {}, t(`common.kind_${line.kind}`)),
      el("span", { class: "plate" }, line.plate_view ?? line.plate_id ?? ""), el("span", { class: "end" }, line.kind === "exit" ? money(line.fee) : ""),
    );
  });
}

async function loadTypes() {
  const answer = await get("/api/parking/fees").catch(() => null);
  types = [...new Set(["car", ...Object.keys(answer?.fees.types ?? {})])];
}

await start("gate");
at("plate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const plate = at("plate").value.trim();
  if (plate) lookUp(plate, null, "car");
});
at("gate").addEventListener("change", () => {
  localStorage.setItem("gate", gate());
  finish();
  showGates(state);
  showRecent(state);
});
at("open").addEventListener("click", () => open());
at("close").addEventListener("click", close);
at("next").addEventListener("click", finish);
loadTypes();
watch(["gates", "central"], showGates);
watch(["events", "gates", "central"], showRecent);
watch(["peers", "freshness"], showMissing);
setInterval(() => {
  if (car && car.info && !car.done && !busy) refresh(car);
  if (state.number !== null) {
    showMissing(state);
    showSeen();
  }
}, LOOK_AGAIN_MS);
