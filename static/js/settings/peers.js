// The peers: what is set, editable in the row, and beside it how they are, live.

import { postLines } from "../lib/api.js";
import { at, el, icon, keyed, put, state as stateOf } from "../lib/dom.js";
import { centralNow, state } from "../lib/feed.js";
import { ago, duration, milliseconds, number } from "../lib/format.js";
import { inputCell, pictureButton, show, valueOf } from "../lib/forms.js";
import { confirmed, toast } from "../lib/notices.js";
import { reasonText } from "../lib/reasons.js";
import { t } from "../lib/texts.js";
import { showTrust } from "./members.js";

const KINDS = { connected: "good", connecting: "wait", disconnected: "bad" };
const STEPS = ["resolve", "tcp", "websocket", "handshake", "round_trip"];
const FIELDS = ["id", "ip", "p2p_port"];

let newKeys = 0;

/** The table as the draft has it. `changed()` is called after each change of the draft. */
export function showPeers(draft, changed) {
  const peers = draft.mine.peer_centrals;
  put("peer-count", `(${peers.length})`);
  at("no-peers").hidden = peers.length > 0;
  at("peers-table").hidden = peers.length === 0;
  keyed(
    at("peers"), peers, (peer) => peer.key,
    (peer) => makeRow(draft, peer.key, changed),
    (row, peer) => {
      row.querySelectorAll("input").forEach((input) => show(input, peer[input.dataset.field]));
      showLive(row, draft, peer);
    },
  );
}

function makeRow(draft, key, changed) {
  const find = () => draft.current.mine.peer_centrals.find((peer) => peer.key === key);
  const input = (field) => {
    const box = el("input", { class: `form-control form-control-sm ${field}`, id: `peer-${key}-${field}`, "data-field": field, autocomplete: "off" });
    if (field === "p2p_port") Object.assign(box.dataset, { kind: "number" });
    box.addEventListener("input", () => { find()[field] = valueOf(box); changed(); });
    return box;
  };
  const test = pictureButton(icon("activity"), t("settings.test"), () => testPeer(find().id, row));
  test.classList.add("test");
  const drop = pictureButton(icon("trash"), t("settings.remove_peer"), () => removePeer(draft, key, changed), "outline-danger");
  drop.classList.add("drop");
  const row = el(
    "tr", {},
    inputCell(t("settings.peer_id"), input("id")),
    inputCell(t("settings.ip"), input("ip")),
    inputCell(t("settings.port"), input("p2p_port")),
    el("td", { class: "how live", "data-head": t("settings.status") }, el("div", { class: "link" }), el("div", { class: "trust" })),
    el("td", { class: "sync live", "data-head": t("settings.last_sync") }),
    el("td", { class: "actions" }, el("div", { class: "buttons" }, test, drop), el("div", { class: "test-result" })),
  );
  return row;
}

/** A peer that is not saved yet, or was changed, is not what the live state is about. */
function showLive(row, draft, peer) {
  const saved = draft.base.peer_centrals.find((known) => known.key === peer.key);
  const live = saved && state.peers[saved.id];
  const how = row.querySelector(".how .link");
  const trust = row.querySelector(".how .trust");
  const sync = row.querySelector(".sync");
  row.querySelector(".test").disabled = !saved;
  if (!live) {
    how.replaceChildren(stateOf("quiet", saved ? t("settings.state_unknown") : t("settings.not_saved")));
    sync.replaceChildren(t("settings.never_synced"));
    trust.replaceChildren();
    delete trust.dataset.shown;
    return;
  }
  const since = duration(centralNow() - live.since_ms);
  const detail = live.state === "connected" ? [] : [live.reason && reasonText(live.reason), nextAttempt(live)].filter(Boolean);
  how.replaceChildren(stateOf(live.state === "connected" && !live.moving ? "bad" : KINDS[live.state], linkText(live, since)), ...detail.map((text) => el("div", { class: "reason" }, text)));
  showTrust(trust, saved.id, live, state.central?.p2p_mode);
  sync.replaceChildren(...syncLines(live).map((text) => el("div", {}, text)));
}

/** Linked and moving are two things. */
const linkText = (live, since) => (live.state === "connected" && !live.moving ? t("common.link_not_moving") : t(`common.link_${live.state}`, { since }));

const nextAttempt = (live) =>
  live.next_attempt_ms > centralNow() ? t("settings.next_attempt", { age: duration(live.next_attempt_ms - centralNow()) }) : null;

/** Connected, in sync, fresh and moving are four things: each is said. */
function syncLines(live) {
  const lines = [live.last_heard_ms ? t("settings.heard", { age: ago(live.last_heard_ms, centralNow()) }) : t("settings.never_synced")];
  if (live.state !== "connected") return lines;
  if (live.we_lack_events > 0) lines.push(t("settings.we_lack", { n: number(live.we_lack_events) }));
  if (live.it_lacks_events > 0) lines.push(t("settings.it_lacks", { n: number(live.it_lacks_events) }));
  if (live.we_lack_events === 0 && live.it_lacks_events === 0) lines.push(t("settings.in_sync"));
  if (live.oldest_unacked) {
    const { log, since_ms } = live.oldest_unacked;
    lines.push(t("settings.unacked", { log, age: duration(centralNow() - since_ms) }));
  }
  lines.push(t("settings.trip", { trip: milliseconds(live.round_trip_ms), offset: milliseconds(live.clock_offset_ms) }));
  return lines;
}

async function removePeer(draft, key, changed) {
  const peers = draft.current.mine.peer_centrals;
  const { id } = peers.find((peer) => peer.key === key);
  if (!await confirmed({ title: t("settings.remove_question", { id }), text: t("settings.remove_text"), yes: t("settings.remove"), danger: true })) return;
  peers.splice(peers.findIndex((peer) => peer.key === key), 1);
  changed();
  toast("good", t("settings.removed", { id }));
}

/** Adds what the form says; false: it says too little, and what is wrong is shown. */
export function addPeer(draft, changed) {
  const [id, ip, port] = ["new-id", "new-ip", "new-port"].map((name) => at(name).value.trim());
  if (!id || !ip) {
    toast("bad", t("settings.fill_in"), { about: "new peer" });
    at(id ? "new-ip" : "new-id").focus();
    return false;
  }
  if (draft.current.mine.peer_centrals.some((peer) => peer.id === id) || draft.current.mine.this_central.id === id) {
    toast("bad", t("settings.exists", { id }), { about: "new peer" });
    at("new-id").focus();
    return false;
  }
  newKeys += 1;
  const p2p_port = port === "" ? 9000 : /^\d+$/.test(port) ? Number(port) : port;
  draft.current.mine.peer_centrals.push({ key: `new-${newKeys}`, id, ip, p2p_port });
  changed();
  toast("good", t("settings.added", { id }), { about: "new peer" });
  return true;
}

/** The input of a field as the server names it: `peer_centrals[1].ip`. */
export function peerInput(draft, field) {
  const [, index, name] = field.match(/^peer_centrals\[(\d+)\]\.?(\w*)/) ?? [];
  const peer = index === undefined ? null : draft.current.mine.peer_centrals[index];
  return peer && at(`peer-${peer.key}-${FIELDS.includes(name) ? name : "id"}`);
}

async function testPeer(id, row) {
  const button = row.querySelector(".test");
  const result = row.querySelector(".test-result");
  button.disabled = true;
  const made = [];
  showSteps(result, made, true);
  try {
    const test = await postLines(`/api/p2p/test-connection?stream=true&peer_id=${encodeURIComponent(id)}`, (step) => {
      made.push(step);
      showSteps(result, made, true);
    });
    showSteps(result, test.steps);
    toast("good", t("settings.test_good", { id }), { about: `test of ${id}` });
  } catch (error) {
    const steps = error.body?.steps ?? made;
    showSteps(result, steps);
    const failed = steps.find((step) => !step.ok);
    const reason = failed ? `${t(`settings.step_${failed.step}`)}: ${reasonText(failed.detail)}` : error.text;
    toast("bad", t("settings.test_bad", { id, reason }), { about: `test of ${id}` });
  }
  button.disabled = false;
}

/** `running`: the step after the last one is being made. */
function showSteps(result, steps, running = false) {
  const rows = STEPS.map((name, index) => {
    const step = steps.find((done) => done.step === name);
    const now = running && index === steps.length && steps.every(({ ok }) => ok);
    const kind = step ? (step.ok ? "good" : "bad") : now ? "wait" : "quiet";
    const missing = running ? (now ? t("settings.step_runs") : "") : t("settings.step_not_reached");
    const text = step ? (step.ok ? milliseconds(step.took_ms) : reasonText(step.detail)) : missing;
    return el("li", {}, stateOf(kind, t(`settings.step_${name}`)), " ", el("span", { class: "quiet" }, text));
  });
  const close = el("button", { type: "button", class: "btn-close", "aria-label": t("common.close"), onclick: () => result.replaceChildren() });
  result.replaceChildren(el("ol", { class: "steps" }, rows), close);
}
