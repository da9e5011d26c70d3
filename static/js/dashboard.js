// Bảng điều khiển: the state of the lot and of the mesh.

import { get } from "./lib/api.js";
import { at, el, keyed, put, state } from "./lib/dom.js";
import { ago, duration, money, number } from "./lib/format.js";
import { t } from "./lib/texts.js";
import { onStatus, start } from "./shell.js";

const ROWS = 8;

function showPeers({ p2p }) {
  at("alone").hidden = p2p.peers.length > 0;
  put("linked", p2p.peers.length > 0 ? `${p2p.connected_peers}/${p2p.total_peers}` : "");
  keyed(at("peers"), p2p.peers, (peer) => peer.peer_id, () => el("li"), (row, peer) => {
    const kind = peer.connected ? "good" : peer.state === "connecting" ? "wait" : "bad";
    const parts = [];
    if (!peer.connected && peer.reason) parts.push(peer.reason);
    if (peer.connected && peer.we_lack_events > 0) parts.push(t("dashboard.we_lack", { n: number(peer.we_lack_events) }));
    if (peer.connected && peer.it_lacks_events > 0) parts.push(t("dashboard.it_lacks", { n: number(peer.it_lacks_events) }));
    row.replaceChildren(
      el("span", { class: "name" }, peer.peer_id),
      state(kind, t(`common.link_${peer.state}`, { since: duration(p2p.now_ms - peer.since_ms) })),
      el("span", { class: "detail" }, parts.join(" · ")),
      el("span", { class: "end" }, peer.last_heard_ms ? t("dashboard.heard", { age: ago(peer.last_heard_ms, p2p.now_ms) }) : ""),
    );
  });
}

function showLot(page) {
  put("inside", number(page.stats.vehicles_in_parking));
  put("entries", number(page.stats.entries_today));
  put("exits", number(page.stats.exits_today));
  put("revenue", money(page.stats.revenue_today));
  at("nothing").hidden = page.history.length > 0;
  keyed(at("recent"), page.history, (row) => row.event_id, () => el("li"), (element, row) => {
    const inside = row.status === "IN";
    const gate = inside ? row.entry_camera_name : row.exit_camera_name ?? row.entry_camera_name;
    element.replaceChildren(
      el("span", { class: "name plate" }, row.plate_view),
      state(inside ? "good" : row.status === "OUT" ? "quiet" : "wait", t(`common.stay_${row.status}`)),
      el("span", { class: "detail" }, gate ?? ""),
      el("span", { class: "end" }, inside || !row.exit_time ? row.entry_time : `${row.exit_time} · ${money(row.fee)}`),
    );
  });
}

await start("dashboard");
onStatus((news) => {
  showPeers(news);
  get(`/api/parking/history?limit=${ROWS}`).then(showLot, () => {});
});
