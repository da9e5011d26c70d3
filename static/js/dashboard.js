// Bảng điều khiển: the lot and the mesh as they are now. Needs no hand: it can hang on a wall.

import { drawMesh } from "./dashboard/mesh.js";
import { at, el, icon, keyed, put, state as stateOf } from "./lib/dom.js";
import { centralNow, state, watch } from "./lib/feed.js";
import { ago, duration, milliseconds, moment, money, number } from "./lib/format.js";
import { language, reasonText, t, typeName } from "./lib/texts.js";
import { start } from "./shell.js";

/** Lines that fit on a screen. */
const LINES = 14;

const KIND_OF_STATE = { connected: "good", connecting: "wait", disconnected: "bad" };

function showLot({ lot }) {
  put("inside", number(lot.inside));
  put("entries", number(lot.entries));
  put("exits", number(lot.exits));
  put("revenue", money(lot.revenue));
  put("types", lot.inside_by_type.map(({ camera_type, cars }) => `${typeName(camera_type)} ${number(cars)}`).join(" · "));
}

function showPeers({ peers, central }) {
  const all = Object.entries(peers).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  const linked = all.filter(([, peer]) => peer.state === "connected" && peer.moving).length;
  at("alone").hidden = all.length > 0;
  at("picture").hidden = all.length === 0;
  const kind = linked === all.length ? "good" : linked === 0 ? "bad" : "wait";
  at("linked").replaceChildren(...(all.length === 0 ? [] : [stateOf(kind, t("dashboard.linked", { n: linked, all: all.length }))]));
  drawMesh(at("picture"), central.id, all);
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

function lagOf(peer) {
  const parts = [];
  if (peer.we_lack_events > 0) parts.push(t("dashboard.we_lack", { n: number(peer.we_lack_events) }));
  if (peer.it_lacks_events > 0) parts.push(t("dashboard.it_lacks", { n: number(peer.it_lacks_events) }));
  return parts.join(" · ");
}

const nextAttempt = (peer) =>
  peer.next_attempt_ms > centralNow() ? t("dashboard.next_attempt", { age: duration(peer.next_attempt_ms - centralNow()) }) : "";

function showGates({ gates }) {
  const all = Object.entries(gates).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  at("no-gates").hidden = all.length > 0;
  at("gates-table").hidden = all.length === 0;
  keyed(at("gates"), all, ([id]) => id, () => el("tr"), (row, [, gate]) => {
    const { last } = gate;
    row.replaceChildren(
      el("td", {}, el("div", { class: "gate-name" }, gate.name || gate.edge), el("small", { class: "quiet" }, gate.name ? `${gate.central}/${gate.edge}` : gate.central)),
      last
        ? el("td", {}, el("div", {}, kindOf(last), " ", el("span", { class: "plate" }, last.plate_view ?? last.plate_id ?? "")),
            el("small", { class: "quiet" }, `${moment(last.at_ms, centralNow())} · ${ago(last.at_ms, centralNow())}`))
        : el("td", { class: "quiet" }, "–"),
      el("td", { class: "number" }, number(gate.entries ?? 0)),
      el("td", { class: "number" }, number(gate.exits ?? 0)),
      el("td", { class: "number" }, money(gate.revenue ?? 0)),
    );
  });
}

const kindOf = (line) => el("span", { class: `kind ${line.kind}` }, t(`common.kind_${line.kind}`));

function showEvents({ events }) {
  const lines = events.filter((line) => line.kind !== "confirmed").slice(-LINES).reverse();
  at("nothing").hidden = lines.length > 0;
  keyed(at("events"), lines, (line) => line.id, lineOf, () => {});
}

function lineOf(line) {
  const marks = [];
  if (line.manual) marks.push(t("dashboard.manual"));
  if (line.without_entry) marks.push(t("dashboard.without_entry"));
  if (line.subscribed) marks.push(t("dashboard.subscribed"));
  const where = line.edge ? `${line.central}/${line.edge}` : line.central;
  const cost = line.kind === "exit" ? money(line.fee) : "";
  return el(
    "li", {},
    el("span", { class: "when" }, moment(line.at_ms, centralNow())),
    el("span", { class: `kind ${line.kind}` }, line.kind === "entry" ? icon("box-arrow-in-right") : line.kind === "exit" ? icon("box-arrow-right") : icon("pencil"), t(`common.kind_${line.kind}`)),
    el("span", { class: "plate" }, line.plate_view ?? line.plate_id ?? ""),
    marks.length > 0 ? el("span", { class: "detail unusual", title: `${where} · ${marks.join(" · ")}` }, marks.join(" · ")) : el("span", { class: "detail" }, where),
    el("span", { class: "end" }, cost),
  );
}

function showAnomalies({ anomalies }) {
  at("odd").hidden = !anomalies?.length;
  keyed(at("anomalies"), anomalies ?? [], (stay) => stay.event_id, () => el("li"), (row, stay) => {
    row.replaceChildren(
      el("span", { class: "quiet" }, moment(stay.at_ms, centralNow())), el("span", { class: "plate" }, stay.plate_view),
      el("span", { class: "detail" }, stay.told.map((one) => one[language]).join(". ")),
    );
  });
}

await start("dashboard");
watch(["lot"], showLot);
watch(["peers", "central"], showPeers);
watch(["gates", "central"], showGates);
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
