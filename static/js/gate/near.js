// Cars inside that may be meant: those whose plate reads almost like the one that is not inside, and those that have the typed part.

import { get, query } from "../lib/api.js";
import { at, el } from "../lib/dom.js";
import { centralNow, gateName } from "../lib/feed.js";
import { moment } from "../lib/format.js";
import { t, typeName } from "../lib/texts.js";
import { differing, plateKey } from "./plates.js";

const MOST = 6;
/** Fewer signs would find half the lot. */
const SHORTEST_PART = 3;
const TYPING_PAUSE_MS = 150;

/** One row: the plate with what is marked in it, when and where it came in. `pick(plate, view)`. */
function row(stay, parts, pick) {
  const from = stay.entry_camera_name ?? "";
  const button = el(
    "button", { type: "button", class: "btn" },
    el("span", { class: "plate" }, parts.map(([text, marked]) => (marked ? el("mark", {}, text) : text))),
    el("span", { class: "quiet" }, [moment(stay.entry_ms, centralNow()), gateName(from), typeName(stay.camera_type).replace(/ /g, "\u00a0")].join(" · ")),
  );
  button.addEventListener("click", () => pick(stay.plate_id, stay.plate_view));
  return el("li", {}, button);
}

let shownFor = null;

/** The stays inside whose plate is near that of `car`; null: none are wanted. Asked once per car. */
export async function showNear(car, pick) {
  if (car === null) {
    shownFor = null;
    at("near").hidden = true;
    return;
  }
  if (shownFor === car) return;
  shownFor = car;
  at("near").hidden = true;
  const answer = await get(query("/api/parking/near", { plate: car.plate, limit: MOST })).catch(() => null);
  if (shownFor !== car || !answer) return;
  at("near").hidden = answer.near.length === 0;
  at("near-list").replaceChildren(...answer.near.map((stay) => row(stay, differing(stay.plate_view, car.plate), pick)));
}

let timer = 0;
let asked = 0;

/** The cars inside whose plate has this part, while it is typed. */
export function showMatches(text, pick) {
  const part = plateKey(text);
  clearTimeout(timer);
  asked += 1;
  const mine = asked;
  if (part.length < SHORTEST_PART) {
    at("matches").hidden = true;
    return;
  }
  timer = setTimeout(async () => {
    const answer = await get(query("/api/parking/history", { search: part, in_parking_only: true, limit: MOST })).catch(() => null);
    if (mine !== asked || !answer) return;
    const rows = answer.history.map((stay) => row(stay, withPart(stay.plate_view, part), pick));
    at("matches").replaceChildren(...(rows.length > 0 ? rows : [el("li", { class: "none" }, t("gate.no_match"))]));
    at("matches").hidden = false;
  }, TYPING_PAUSE_MS);
}

/** `view` in parts, the one that was typed marked. */
function withPart(view, part) {
  const from = plateKey(view).indexOf(part);
  const parts = [];
  let index = 0;
  for (const sign of view) {
    const counts = plateKey(sign) !== "";
    parts.push([sign, counts && index >= from && index < from + part.length]);
    if (counts) index += 1;
  }
  return parts;
}
