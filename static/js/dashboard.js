// Bảng điều khiển: the lot and the mesh as they are now. Needs no hand: it can hang on a wall.

import { drawMesh } from "./dashboard/mesh.js";
import { at, el, icon, keyed, put, state as stateOf } from "./lib/dom.js";
import { centralNow, gateName, state, watch, withGateNames } from "./lib/feed.js";
import { ago, duration, milliseconds, moment, money, number, serverDay } from "./lib/format.js";
import { reasonText } from "./lib/reasons.js";
import { language, personName, t, typeName } from "./lib/texts.js";
import { start, watchCameras } from "./shell.js";

/** Lines that fit on a screen. */
const LINES = 14;
/** A car that passed was told already, and names are the settings'. */
const OF_NO_NEWS = ["confirmed", "naming"];
/** So few gates stand side by side on a wall; so few have its room to themselves; and some more are still as large as it allows. */
const ONE_ROW = 3;
const FEW_GATES = 6;
const SOME_GATES = 12;

const KIND_OF_STATE = { connected: "good", connecting: "wait", disconnected: "bad" };

function showLot({ lot }) {
  put("inside", number(lot.inside));
  put("entries", number(lot.entries));
  put("exits", number(lot.exits));
  const revenue = put("revenue", money(lot.revenue));
  revenue.href = `/history?day=${serverDay(centralNow())}`;
  revenue.parentElement.style.setProperty("--characters", revenue.textContent.length);
  put("types", lot.inside_by_type.map(({ camera_type, cars }) => `${typeName(camera_type)} ${number(cars)}`).join(" · "));
}

function showPeers({ peers, central }) {
  const all = Object.entries(peers).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  const linked = all.filter(([, peer]) => peer.state === "connected" && peer.moving).length;
  at("alone").hidden = all.length > 0;
  const kind = linked === all.length ? "good" : linked === 0 ? "bad" : "wait";
  at("linked").replaceChildren(...(all.length === 0 ? [] : [stateOf(kind, t("dashboard.linked", { n: linked, all: all.length }))]));
  at("mesh-more").hidden = all.length === 0;
  at("mesh-more").parentElement.classList.toggle("all-fine", linked === all.length);
  at("mesh-more").parentElement.classList.toggle("of-none", all.length === 0);
  showIncomplete(all);
  drawMesh(at("picture"), central.id, all);
  at("peers").classList.toggle("all-fine", linked === all.length);
  keyed(at("peers"), all, ([id]) => id, () => el("li"), (row, [id, peer]) => {
    const stuck = peer.state === "connected" && !peer.moving;
    row.className = peer.state === "connected" && !stuck ? "fine" : "";
    const since = duration(centralNow() - peer.since_ms);
    row.replaceChildren(
      el("span", { class: "name" }, id),
      stuck ? stateOf("bad", t("common.link_not_moving")) : stateOf(KIND_OF_STATE[peer.state], t(`common.link_${peer.state}`, { since })),
      peer.state === "connected" ? el("span", { class: "detail" }, lagOf(peer)) : el("span", { class: "detail", title: peer.reason }, reasonText(peer.reason ?? "")),
      el("span", { class: "end" }, peer.state === "connected" ? milliseconds(peer.round_trip_ms) : nextAttempt(peer)),
    );
  });
}

let cameras = [];

function lagOf(peer) {
  const parts = [];
  if (peer.we_lack_events > 0) parts.push(t("dashboard.we_lack", { n: number(peer.we_lack_events) }));
  if (peer.it_lacks_events > 0) parts.push(t("dashboard.it_lacks", { n: number(peer.it_lacks_events) }));
  return parts.join(" · ");
}

const nextAttempt = (peer) =>
  peer.next_attempt_ms > centralNow() ? t("dashboard.next_attempt", { age: duration(peer.next_attempt_ms - centralNow()) }) : "";

/** Sums without what some central saw are said to be so. */
function showIncomplete(all) {
  const away = all.filter(([, peer]) => peer.state !== "connected" && !peer.expelled);
  at("incomplete").hidden = away.length === 0;
  const since = (peer) => moment(peer.last_heard_ms ?? peer.since_ms, centralNow());
  put("incomplete", away.length === 0 ? "" : t("dashboard.incomplete", { centrals: away.map(([id, peer]) => t("dashboard.incomplete_of", { id, time: since(peer) })).join(", ") }));
}

/** What a gate counted; nobody has to read that nobody left by the way in. */
const sumsOf = (gate) => [["dashboard.key_entries", gate.entries, number], ["dashboard.key_exits", gate.exits, number], ["dashboard.taken", gate.revenue, money]]
  .filter(([, value]) => value > 0)
  .map(([key, value, shown]) => el("div", { class: shown === money && "taken" }, el("dt", {}, t(key)), el("dd", {}, shown(value))));

/** How a gate is: of our own what its camera says, of others whether its central is linked. */
function stateOfGate(gate) {
  const peer = state.peers[gate.central];
  if (peer && peer.state !== "connected") return ["bad", t("dashboard.gate_away")];
  if (gate.central !== state.central.id) return null;
  // One that calls only when a car passes is silent and well: what is missed stands in the strip above.
  if (Object.values(state.attention).some(({ code, member }) => code === "camera" && member === gate.edge)) return ["bad", t("dashboard.camera_bad")];
  return cameras.some((one) => one.id === gate.edge && one.status === "online") ? ["good", t("dashboard.camera_good")] : null;
}

function showGates({ gates }) {
  const all = Object.entries(gates).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  at("no-gates").hidden = all.length > 0;
  at("gates").classList.toggle("few", all.length <= FEW_GATES);
  at("gates").parentElement.classList.toggle("one-row", all.length <= ONE_ROW);
  at("gates").classList.toggle("some", all.length > FEW_GATES && all.length <= SOME_GATES);
  keyed(at("gates"), all, ([id]) => id, () => el("li"), (card, [id, gate]) => {
    const { last } = gate;
    const how = stateOfGate(gate);
    card.className = `gate-card ${how?.[0] ?? ""}`;
    card.replaceChildren(
      el("div", { class: "gate-head" }, el("strong", {}, gate.name || gate.edge), el("small", { class: `quiet ${gate.name && gateName(id) === gate.name ? "also" : ""}` }, gate.central, gate.name ? el("span", { class: "gate-edge" }, `/${gate.edge}`) : "", gate.lane ? el("span", { class: "gate-lane" }, " · ", t(`dashboard.lane_${gate.lane}`)) : "")),
      how ? stateOf(how[0], how[1]) : "",
      last
        ? el("div", { class: "gate-last" }, kindOf(last), el("span", { class: "plate" }, last.plate_view ?? last.plate_id ?? ""), el("small", { class: "quiet" }, moment(last.at_ms, centralNow())))
        : el("div", { class: "gate-last quiet" }, t("dashboard.no_passage")),
      el("dl", { class: "gate-sums" }, sumsOf(gate)),
    );
  });
}

const kindOf = (line) => el("span", { class: `kind ${line.kind}` }, t(`common.kind_${line.kind}`));

function showEvents({ events }) {
  const lines = events.filter(({ kind }) => !OF_NO_NEWS.includes(kind)).slice(-LINES).reverse();
  at("nothing").hidden = lines.length > 0;
  keyed(at("events"), lines, (line) => line.id, lineOf, () => {});
}

function lineOf(line) {
  const marks = [];
  if (line.manual) marks.push(t("dashboard.manual"));
  if (line.without_entry) marks.push(t("dashboard.without_entry"));
  if (line.subscribed) marks.push(t("dashboard.subscribed"));
  // Of a change it matters who made it, not at which machine.
  const by = line.by && !line.edge ? personName(line.by) : null;
  const where = by ?? (line.edge ? gateName(`${line.central}/${line.edge}`) : line.central);
  const cost = line.kind === "exit" || line.fee ? money(line.fee) : "";
  return el(
    "li", {},
    el("span", { class: "when" }, moment(line.at_ms, centralNow())),
    el("span", { class: `kind ${line.kind}${line.plate_view || line.plate_id ? "" : " no-plate"}` }, line.kind === "entry" ? icon("box-arrow-in-right") : line.kind === "exit" ? icon("box-arrow-right") : icon("pencil"), t(`common.kind_${line.kind}`)),
    el("span", { class: "plate" }, line.plate_view ?? line.plate_id ?? ""),
    marks.length > 0 ? el("span", { class: "detail unusual", title: `${where} · ${marks.join(" · ")}` }, marks.join(" · ")) : el("span", { class: "detail" }, where),
    el("span", { class: "end" }, cost),
  );
}

function showAnomalies({ anomalies }) {
  at("odd").hidden = !anomalies?.length;
  keyed(at("anomalies"), anomalies ?? [], (stay) => stay.event_id, () => el("li"), (row, stay) => {
    row.replaceChildren(
      el("span", { class: "quiet" }, moment(stay.at_ms, centralNow())),
      el("a", { class: "plate", href: `/history#stay=${encodeURIComponent(stay.event_id)}` }, stay.plate_view),
      ...stay.told.map((one) => el("span", { class: "badge-odd", title: withGateNames(one[language]) }, t(`common.anomaly_${one.kind}`))),
    );
  });
}

// On a wall nobody clicks: everything that needs a hand is open, the rest as large as the room allows.
if (new URLSearchParams(location.search).has("wall")) {
  document.documentElement.classList.add("wall");
  document.body.dataset.alarms = "open";
}
await start("dashboard");
watchCameras((found) => {
  cameras = found;
  if (state.number !== null) showGates(state);
});
watch(["lot"], showLot);
watch(["peers", "central"], showPeers);
watch(["gates", "central", "peers", "attention"], showGates);
watch(["events", "central"], showEvents);
watch(["anomalies", "central"], showAnomalies);
// The plotting library is not waited for.
import("./dashboard/course.js").then(({ showCourse }) => watch(["course", "central"], ({ course }) => showCourse(at("course"), course)));
// Ages grow by themselves.
setInterval(() => {
  if (state.number === null) return;
  showGates(state);
  showPeers(state);
}, 15_000);
