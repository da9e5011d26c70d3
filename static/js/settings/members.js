// Who belongs to the mesh: how each peer proves who it is, strangers that wait for a yes or no, centrals found nearby, invitations.

import { get, post, put as save, remove } from "../lib/api.js";
import { at, el, keyed, put, state as stateOf } from "../lib/dom.js";
import { centralNow } from "../lib/feed.js";
import { ago, moment, number } from "../lib/format.js";
import { mark } from "../lib/forms.js";
import { confirmed, toast } from "../lib/notices.js";
import { reasonText } from "../lib/reasons.js";
import { t } from "../lib/texts.js";

const INVITATION_MIN = 60;
const NOT_TO_BE_LINKED = ["other_site", "id_taken"];

const button = (label, onclick, kind = "outline-secondary") => el("button", { type: "button", class: `btn btn-${kind} btn-sm`, onclick }, label);
const fingerprintOf = (text) => el("code", { class: "fingerprint" }, text);

/** Does it; says what went wrong, if something does. */
async function attempt(work, done) {
  try {
    await work();
    if (done) toast("good", done);
    return true;
  } catch (error) {
    toast("bad", reasonText(error.text));
    return false;
  }
}

/** A window with a heading, its contents and a way out. */
function openWindow(title, ...children) {
  const close = button(t("common.close"), () => dialog.close());
  const answers = el("div", { class: "answers" }, close);
  const dialog = el("dialog", { class: "question wide", "aria-labelledby": "window-title" }, el("h2", { class: "h5", id: "window-title" }, title), ...children, answers);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, answers };
}

/** Asks with a fingerprint to be compared with what the other central's own page shows. */
function compared(title, text, fingerprint, yes) {
  return new Promise((resolve) => {
    const { dialog, answers } = openWindow(title, el("p", {}, text), el("p", {}, fingerprintOf(fingerprint)));
    answers.append(button(yes, () => dialog.close("yes"), "primary"));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
  });
}

/** This central's own proof, and who waits. */
export function showIdentity({ central }) {
  const open = central.p2p_mode === "open";
  at("p2p-mode").replaceChildren(stateOf(open ? "bad" : "good", t(open ? "settings.p2p_open" : "settings.p2p_tls")));
  put("own-fingerprint", central.fingerprint ?? "–");
  put("site-id", central.site_id ?? "–");
  at("invite").disabled = open;
  at("join").disabled = open;
  at("pending-part").hidden = central.pending.length === 0;
  keyed(
    at("pending"), central.pending, (waiting) => waiting.fingerprint,
    (waiting) => el(
      "li", {},
      el("div", {}, el("strong", {}, waiting.central), " ", el("span", { class: "quiet" }), fingerprintOf(waiting.fingerprint)),
      el("div", { class: "buttons" }, button(t("settings.accept"), () => accept(waiting), "primary"), button(t("settings.refuse"), () => refuse(waiting))),
    ),
    (row, waiting) => put(row.querySelector(".quiet"), t("settings.knocks_from", { from: waiting.from, age: ago(waiting.first_seen_ms, centralNow()) })),
  );
  at("admitted-part").hidden = central.admitted.length === 0;
  keyed(
    at("admitted"), central.admitted, (one) => one.fingerprint,
    (one) => el(
      "li", {},
      el("div", {}, el("strong", {}, one.central), " ", el("span", { class: "quiet" }), fingerprintOf(one.fingerprint)),
      el("div", { class: "buttons" }, button(t("settings.expel"), () => expel(one.central), "outline-danger")),
    ),
    (row, one) => put(row.querySelector(".quiet"), t("settings.admitted_by", { by: one.by })),
  );
  showNearby(central.nearby);
}

/** Who says on this network that it is there. What cannot be linked says why, and has no button. */
function showNearby({ state, reason, found }) {
  at("nearby-part").hidden = state === "off";
  put("nearby-state", state === "failed" ? t("settings.nearby_failed", { reason }) : t("settings.nearby_none"));
  at("nearby-state").hidden = found.length > 0;
  keyed(
    at("nearby"), found, ({ fingerprint, central, nearness }) => `${fingerprint} ${central} ${nearness}`,
    (one) => el(
      "li", {},
      el("div", {}, el("strong", {}, one.central), " ", el("span", { class: "quiet" }), fingerprintOf(one.fingerprint)),
      el("div", { class: "buttons" }, NOT_TO_BE_LINKED.includes(one.nearness) ? null : button(t("settings.link"), () => link(one), "primary")),
    ),
    (row, one) => put(row.querySelector(".quiet"), t(`settings.nearby_${one.nearness}`, { from: `${one.ip}:${one.p2p_port}` })),
  );
}

async function link({ central, fingerprint }) {
  if (!await compared(t("settings.link_question", { id: central }), t("settings.link_text", { id: central }), fingerprint, t("settings.link"))) return;
  await attempt(() => post(`/api/p2p/nearby/${fingerprint}`), t("settings.linked", { id: central }));
}

async function accept({ central, fingerprint }) {
  if (!await compared(t("settings.accept_question", { id: central }), t("settings.compare_text", { id: central }), fingerprint, t("settings.accept"))) return;
  await attempt(() => post(`/api/p2p/pending/${fingerprint}`), t("settings.accepted", { id: central }));
}

async function refuse({ central, fingerprint }) {
  if (!await confirmed({ title: t("settings.refuse_question", { id: central }), text: t("settings.refuse_text"), yes: t("settings.refuse"), danger: true })) return;
  await attempt(() => remove(`/api/p2p/pending/${fingerprint}`), t("settings.refused", { id: central }));
}

/** How a peer is known, in its row. Drawn anew only when it changed, so that a button keeps the focus. */
export function showTrust(place, id, live, mode) {
  const { fingerprint, unconfirmed, let_in_by: by, expulsion, certificate_refused: refused } = live;
  const known = JSON.stringify([id, fingerprint, unconfirmed, by, expulsion, refused?.fingerprint, mode]);
  if (place.dataset.shown === known) return;
  place.dataset.shown = known;
  place.replaceChildren(...(mode === "open" ? [] : trustOf(id, live)));
}

function trustOf(id, { fingerprint, unconfirmed, let_in_by: by, expulsion, certificate_refused: refused }) {
  if (expulsion) return expulsionLines(expulsion);
  const lines = [];
  if (refused) {
    lines.push(stateOf("bad", t("settings.certificate_refused", { from: refused.from, time: moment(refused.at_ms) })));
    lines.push(button(t("settings.look_at_certificate"), () => takeCertificate(id, refused.fingerprint), "outline-danger"));
  }
  if (!fingerprint) return [...lines, stateOf("quiet", t("settings.never_met"))];
  lines.push(stateOf(unconfirmed ? "wait" : "good", t(unconfirmed ? "settings.unconfirmed" : "settings.confirmed")));
  if (by) lines.push(el("div", { class: "reason" }, t("settings.let_in_by", { by })));
  if (unconfirmed || by) lines.push(button(t("settings.compare"), () => confirm(id, fingerprint)));
  // Away from what is pressed every day.
  const more = el("details", { class: "more-actions" }, el("summary", {}, t("settings.more_actions")), button(t("settings.expel"), () => expel(id), "outline-danger"));
  return [...lines, more];
}

async function confirm(id, fingerprint) {
  if (!await compared(t("settings.confirm_question", { id }), t("settings.compare_text", { id }), fingerprint, t("settings.they_are_equal"))) return;
  await pin(id, fingerprint, t("settings.confirmed_now", { id }));
}

async function takeCertificate(id, fingerprint) {
  if (!await compared(t("settings.certificate_question", { id }), t("settings.certificate_text", { id }), fingerprint, t("settings.take_certificate"))) return;
  await pin(id, fingerprint, t("settings.certificate_taken", { id }));
}

const pin = (id, fingerprint, done) =>
  attempt(() => save(`/api/p2p/peers/${encodeURIComponent(id)}`, { fingerprint, unconfirmed: false }), done);

/** Why, and who did it, where that was said. */
function expulsionLines({ reason, by }) {
  const lines = [stateOf("bad", t("settings.expelled"))];
  if (reason) lines.push(el("div", { class: "reason" }, t("settings.expelled_because", { reason })));
  if (by) lines.push(el("div", { class: "reason" }, t("settings.expelled_by", { by })));
  return lines;
}

/** It concerns the whole mesh, and those who look at it later want to know why. */
function expel(id) {
  const reason = el("input", { class: "form-control", id: "expel-reason", maxlength: 500, autocomplete: "off" });
  const label = el("label", { class: "form-label", for: "expel-reason" }, t("settings.expel_reason"));
  const { dialog, answers } = openWindow(t("settings.expel_question", { id }), el("p", {}, t("settings.expel_text")), el("div", {}, label, reason));
  const go = button(t("settings.expel"), async () => {
    const said = reason.value.trim();
    if (said === "") {
      mark(reason, t("settings.expel_reason_missing"));
      reason.focus();
      return;
    }
    go.disabled = true;
    const done = await attempt(() => post(`/api/p2p/peers/${encodeURIComponent(id)}/expel`, { reason: said }), t("settings.expelled_now", { id }));
    go.disabled = false;
    if (done) dialog.close();
  }, "danger");
  answers.append(go);
  reason.focus();
}

async function invite() {
  await attempt(async () => {
    const { invitation, svg, until_ms } = await post("/api/p2p/invitations", { valid_min: INVITATION_MIN });
    const text = el("textarea", { class: "form-control invitation", id: "invitation-text", readonly: true, rows: 4, "aria-label": t("settings.invitation") }, invitation);
    text.addEventListener("focus", () => text.select());
    // Drawn by this central from the text above; no markup of anybody else's.
    const picture = svg ? new DOMParser().parseFromString(svg, "image/svg+xml").documentElement : null;
    picture?.setAttribute("role", "img");
    picture?.setAttribute("aria-label", t("settings.invitation"));
    const { answers } = openWindow(
      t("settings.invite"), el("p", {}, t("settings.invite_text", { time: moment(until_ms) })), text, picture ? el("div", { class: "qr" }, picture) : null,
    );
    answers.append(button(t("settings.copy"), () => copy(text), "primary"));
    text.focus();
  });
}

/** Without TLS on the page itself browsers give no clipboard: then it is marked, to be copied by hand. */
async function copy(text) {
  text.select();
  try {
    await navigator.clipboard.writeText(text.value);
    toast("good", t("settings.copied"));
  } catch {
    toast("wait", t("settings.copy_by_hand"));
  }
}

function join() {
  const text = el("textarea", { class: "form-control invitation", id: "join-text", rows: 4, "aria-label": t("settings.invitation"), autocomplete: "off" });
  const { dialog, answers } = openWindow(t("settings.join"), el("p", {}, t("settings.join_text")), text);
  const go = button(t("settings.join_go"), async () => {
    go.disabled = true;
    await attempt(async () => {
      const { central, members } = await post("/api/p2p/join", { invitation: text.value });
      toast("good", t("settings.joined", { id: central }));
      dialog.close();
      if (members.length > 0) offer(members);
    });
    go.disabled = false;
  }, "primary");
  answers.append(go);
  text.focus();
}

/** The other members of the mesh, to be taken over with one click. */
function offer(members) {
  const rows = members.map(({ id, ip, p2p_port, fingerprint }) => el("li", {}, el("strong", {}, id), ` ${ip}:${p2p_port} `, fingerprintOf(fingerprint)));
  const { dialog, answers } = openWindow(t("settings.members"), el("p", {}, t("settings.members_text")), el("ul", { class: "strangers" }, rows));
  const go = button(t("settings.take_over", { n: number(members.length) }), async () => {
    go.disabled = true;
    const taken = await attempt(async () => {
      const { config, version } = await get("/api/p2p/config");
      const known = new Set(config.peer_centrals.map(({ id }) => id));
      const peers = [...config.peer_centrals.map(({ id }) => ({ id })), ...members.filter(({ id }) => !known.has(id))];
      await save("/api/p2p/config", { peer_centrals: peers, version });
    }, t("settings.taken_over", { n: number(members.length) }));
    go.disabled = false;
    if (taken) dialog.close();
  }, "primary");
  answers.append(go);
  go.focus();
}

export function startMembers() {
  at("invite").addEventListener("click", invite);
  at("join").addEventListener("click", join);
}
