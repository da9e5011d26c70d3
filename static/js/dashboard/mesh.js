// The mesh as a picture: this central in the middle, the others around it. Its own links are coloured by their state and
// carry their lag; what the others said of links among themselves is drawn thin behind them.

import { svg } from "../lib/dom.js";
import { duration, milliseconds, number } from "../lib/format.js";
import { centralNow } from "../lib/feed.js";
import { t } from "../lib/texts.js";

const WIDTH = 720;
/** As tall as the centrals need that stand around. */
const heightOf = (count) => (count <= 2 ? 180 : count <= 5 ? 300 : 400);
const BOX = { width: 132, height: 44 };
const LONGEST_NAME = 14;

const short = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/** Places around the middle, the first at the top. */
function places(count, height) {
  const across = WIDTH / 2 - BOX.width / 2 - 6;
  const up = height / 2 - BOX.height / 2 - 6;
  return Array.from({ length: count }, (_, index) => {
    // Two or three stand beside and below, not on one line with labels over each other.
    const angle = -Math.PI / 2 + (2 * Math.PI * (index + (count === 2 ? 0.5 : 0))) / count;
    return { x: WIDTH / 2 + across * Math.cos(angle), y: height / 2 + up * Math.sin(angle) };
  });
}

/** `peers`: `[[id, peer], …]` in the order they are shown. */
export function drawMesh(parent, own, peers) {
  const height = heightOf(peers.length);
  const middle = { x: WIDTH / 2, y: height / 2 };
  const around = places(peers.length, height);
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": summary(own, peers) });
  drawing.append(...linksOfOthers(peers, around), ...peers.map(([, peer], index) => ownLink(middle, around[index], peer)));
  peers.forEach(([id, peer], index) => drawing.append(box(around[index], id, stateShown(peer), below(peer))));
  drawing.append(box(middle, own, "own", t("dashboard.this_central")));
  peers.forEach(([, peer], index) => {
    const label = lag(peer);
    if (label) drawing.append(...tag(middle, around[index], label));
  });
  parent.replaceChildren(drawing);
}

function summary(own, peers) {
  const linked = peers.filter(([, peer]) => peer.state === "connected").map(([id]) => id);
  const others = peers.filter(([, peer]) => peer.state !== "connected").map(([id]) => id);
  return t("dashboard.mesh_in_words", { own, linked: linked.join(", ") || "–", others: others.join(", ") || "–" });
}

const line = (from, to, kind) => svg("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, class: `link ${kind}` });

/** A link that carries nothing is drawn as one that is not there. */
const stateShown = (peer) => (peer.state === "connected" && !peer.moving ? "disconnected" : peer.state);

const ownLink = (from, to, peer) => line(from, to, stateShown(peer));

/** Linked, if one of the two said so within the last half minute. */
function linksOfOthers(peers, around) {
  const drawn = [];
  peers.forEach(([id, peer], index) => {
    peers.slice(index + 1).forEach(([other, otherPeer], offset) => {
      const said = [peer, otherPeer].filter((one) => one.says);
      if (said.length === 0) return;
      const linked = peer.says?.links.includes(other) || otherPeer.says?.links.includes(id);
      drawn.push(line(around[index], around[index + 1 + offset], linked ? "other" : "other-broken"));
    });
  });
  return drawn;
}

function below(peer) {
  if (peer.state === "connected") return milliseconds(peer.round_trip_ms);
  // Since when it is gone: the state itself changes with each attempt.
  return peer.last_heard_ms ? t("dashboard.away", { age: duration(centralNow() - peer.last_heard_ms) }) : t("dashboard.never");
}

function box(place, name, kind, under) {
  const { width, height } = BOX;
  const group = svg("g", { class: `central ${kind}`, transform: `translate(${place.x - width / 2} ${place.y - height / 2})` });
  group.append(
    svg("title", {}, name),
    svg("rect", { width, height, rx: 10 }),
    svg("text", { x: width / 2, y: 19, class: "id" }, short(name)),
    svg("text", { x: width / 2, y: 35, class: "under" }, under),
  );
  return group;
}

/** What is missing, here and there. */
function lag(peer) {
  if (peer.state !== "connected") return "";
  const parts = [];
  if (peer.we_lack_events > 0) parts.push(`↓ ${number(peer.we_lack_events)}`);
  if (peer.it_lacks_events > 0) parts.push(`↑ ${number(peer.it_lacks_events)}`);
  return parts.join("  ");
}

/** Between the two, nearer to the other one, where the links are apart. */
function tag(from, to, text) {
  const x = from.x + (to.x - from.x) * 0.55;
  const y = from.y + (to.y - from.y) * 0.55;
  const width = 14 + text.length * 7.5;
  return [
    svg("rect", { x: x - width / 2, y: y - 11, width, height: 22, rx: 11, class: "tag" }),
    svg("text", { x, y: y + 4.5, class: "lag" }, text),
  ];
}

