// Whose data may be missing right now: a car that came in there may be unknown here.

import { at, el, keyed, put } from "../lib/dom.js";
import { centralNow, freshness } from "../lib/feed.js";
import { ago, number } from "../lib/format.js";
import { t } from "../lib/texts.js";

/** `[[id, sentence]]`, of the centrals whose data may be missing, and of our own if it does not answer. */
export function missing({ peers, central }) {
  const fresh = freshness();
  const own = fresh.state === "lost" ? [[central.id, t("gate.own_data", { age: ago(fresh.heardMs, centralNow()) })]] : [];
  const behind = Object.entries(peers).filter(([, peer]) => peer.state !== "connected" || peer.we_lack_events > 0);
  return [...own, ...behind.map(([id, peer]) => {
    if (peer.state === "connected") return [id, t("gate.lacks", { id, n: number(peer.we_lack_events) })];
    return [id, peer.last_heard_ms ? t("gate.data_of", { id, age: ago(peer.last_heard_ms, centralNow()) }) : t("gate.no_data_of", { id })];
  })];
}

export function showMissing(state) {
  const found = missing(state);
  at("missing-part").hidden = found.length === 0;
  keyed(at("missing"), found, ([id]) => id, () => el("li", { class: "wait" }), (row, [, text]) => put(row, text));
}
