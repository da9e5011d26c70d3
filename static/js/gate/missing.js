// Whose data may be missing right now: a car that came in there may be unknown here.

import { at, el, keyed, put } from "../lib/dom.js";
import { centralNow } from "../lib/feed.js";
import { ago, number } from "../lib/format.js";
import { t } from "../lib/texts.js";

export function showMissing({ peers }) {
  const found = Object.entries(peers).filter(([, peer]) => peer.state !== "connected" || peer.we_lack_events > 0);
  at("missing-part").hidden = found.length === 0;
  keyed(at("missing"), found, ([id]) => id, () => el("li", { class: "wait" }), (row, [id, peer]) => {
    if (peer.state === "connected") return put(row, t("gate.lacks", { id, n: number(peer.we_lack_events) }));
    put(row, peer.last_heard_ms ? t("gate.data_of", { id, age: ago(peer.last_heard_ms, centralNow()) }) : t("gate.no_data_of", { id }));
  });
}
