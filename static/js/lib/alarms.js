// What needs somebody's hand: what is wrong, since when, what to do about it, and where. The worst first. Pure.

import { number } from "./format.js";
import { reasonText } from "./reasons.js";
import { t } from "./texts.js";

/** Clocks further apart than this are wrong. */
const MOST_SKEW_S = 60;
/** A restart, or a cable moved to another socket, is over before somebody is called. */
const PEER_PATIENCE_MS = 30_000;
/** Of more the number is enough. */
const MOST_NAMED = 3;
const SETTINGS = "/settings#p2p";
const SECURITY = "/settings#security";

/** `{key, kind, text, detail, todo, sinceMs, href}`; `detail`: what the program says of it, in the language of the reader; `cameras` as GET /api/cameras lists them, `account` as lib/login.js gives it, both or neither known. */
export function alarmsOf({ central, peers, logs }, { cameras = [], account = null, nowMs }) {
  const found = [];
  const add = (name, kind, { values = {}, reason = null, sinceMs = null, href = null, member = "" } = {}) =>
    found.push({ key: name + member, kind, text: t(`common.notice_${name}`, values), detail: reason && reasonText(reason), todo: t(`common.todo_${name}`), sinceMs, href });
  const all = Object.entries(peers).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));

  if (!central.can_commit) add("no_commit", "bad");
  for (const { code, reason } of central.notices ?? []) add(code, "bad", { reason });
  for (const [id, peer] of all) {
    // Its state changes with each attempt; what counts is how long nothing was heard.
    const sinceMs = peer.last_heard_ms || central.started_ms;
    const isGone = peer.state !== "connected" && !peer.expelled && nowMs - sinceMs > PEER_PATIENCE_MS;
    if (isGone) add("peer", "bad", { values: { id }, sinceMs: peer.last_heard_ms, href: SETTINGS, member: id });
  }
  for (const camera of cameras) {
    const isSilent = camera.status !== "online" && camera.last_heartbeat_ms;
    if (isSilent) add("camera", "bad", { values: { id: camera.name || camera.id }, sinceMs: camera.last_heartbeat_ms, href: `/gate?edge=${encodeURIComponent(camera.id)}`, member: camera.id });
  }
  const forked = Object.entries(logs).filter(([, log]) => log.waits_for === "forked");
  for (const [log, { waits_since_ms: sinceMs }] of forked) add("forked", "bad", { values: { log }, sinceMs, href: SETTINGS, member: log });
  const tooMuch = [...new Set(Object.entries(logs).filter(([, log]) => log.waits_for === "too_much").map(([log]) => log.split("/")[0]))];
  for (const id of tooMuch) add("too_much", "bad", { values: { id }, href: SETTINGS, member: id });
  const skews = all.map(([id, peer]) => [id, Math.round(Math.abs(peer.clock_offset_ms ?? 0) / 1000)]).filter(([, seconds]) => seconds > MOST_SKEW_S);
  if (skews.length > 0) add("skew", "bad", { values: { peers: skews.map(([id, seconds]) => `${id} (${t("common.seconds", { n: number(seconds) })})`).join(", ") } });
  if (central.clock_behind) add("clock_behind", "bad");
  if (central.broken_config) add("broken_config", "bad", { reason: central.broken_config, href: SETTINGS });
  if (central.listen_error) add("p2p_port", "bad", { reason: central.listen_error, href: SETTINGS });
  const says = all.filter(([, peer]) => peer.says);
  const differing = (field, own) => says.filter(([, peer]) => peer.says[field] && peer.says[field] !== own).map(([id]) => id).join(", ");
  const zones = differing("time_zone", central.time_zone);
  if (zones) add("zone", "bad", { values: { peers: zones }, href: "/settings#site" });
  const tariffs = differing("tariff_version", central.tariff_version);
  if (tariffs) add("tariff", "wait", { values: { peers: tariffs }, href: "/settings#tariff" });

  // What only an administrator can do something about.
  if (account?.needs_first_password) add("first", "bad", { href: "/login" });
  if (!account?.may_administer) return found;
  for (const [id, peer] of all) {
    if (peer.certificate_refused) add("certificate", "bad", { values: { id }, sinceMs: peer.certificate_refused.at_ms, href: SETTINGS, member: id });
  }
  for (const stranger of central.pending ?? []) {
    add("pending", "wait", { values: { id: stranger.central }, sinceMs: stranger.first_seen_ms, href: SETTINGS, member: stranger.fingerprint });
  }
  const unconfirmed = all.filter(([, peer]) => peer.unconfirmed && !peer.expelled).map(([id]) => id);
  if (unconfirmed.length > 0) add("unconfirmed", "wait", { values: { ids: unconfirmed.slice(0, MOST_NAMED).join(", ") + (unconfirmed.length > MOST_NAMED ? ` +${unconfirmed.length - MOST_NAMED}` : "") }, href: SETTINGS });
  for (const part of central.open) add(`open_${part}`, "bad", { href: SECURITY });
  if (central.admin_open) add("admin_open", "bad", { href: SECURITY });
  return found;
}
