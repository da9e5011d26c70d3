// The gates of this central, by name and lane.

import { at, el, icon, keyed } from "../lib/dom.js";
import { inputCell, pictureButton, show, valueOf } from "../lib/forms.js";
import { keyButtons, keyState } from "../lib/secrets.js";
import { t } from "../lib/texts.js";

let newKeys = 0;

/** The table as the draft has it. `changed()` is called after each change of the draft, `renewed()` after one of a key. */
export function showEdges(draft, changed, renewed) {
  const { edges } = draft.mine;
  at("no-edges").hidden = edges.length > 0;
  at("edges-table").hidden = edges.length === 0;
  keyed(at("edges"), edges, (edge) => edge.key, (edge) => makeRow(draft, edge.key, changed), (row, edge) => {
    row.querySelectorAll("[data-field]").forEach((input) => show(input, edge[input.dataset.field]));
    showKey(row.querySelector(".key"), draft.base.edges.find((saved) => saved.key === edge.key), draft.withKeys, renewed);
  });
}

/** Whether the gate, as it is saved, has a key. Drawn anew only when it changed, so that a button keeps the focus. */
function showKey(place, saved, withKeys, renewed) {
  const has = saved !== undefined && withKeys.has(saved.id);
  const known = JSON.stringify([saved?.id, has]);
  if (place.dataset.shown === known) return;
  place.dataset.shown = known;
  if (saved) place.replaceChildren(keyState(has), el("div", { class: "buttons" }, keyButtons(saved, has, renewed)));
  else place.replaceChildren(el("span", { class: "quiet" }, t("settings.key_after_saving")));
}

function makeRow(draft, key, changed) {
  const find = () => draft.current.mine.edges.find((edge) => edge.key === key);
  const bind = (input, field) => {
    Object.assign(input, { id: `edge-${key}-${field}` });
    input.dataset.field = field;
    input.addEventListener("input", () => { find()[field] = valueOf(input); changed(); });
    return input;
  };
  const box = (field) => bind(el("input", { class: "form-control form-control-sm", autocomplete: "off" }), field);
  const lane = bind(el(
    "select", { class: "form-select form-select-sm", "data-empty": "null" },
    el("option", { value: "" }, t("settings.lane_both")), el("option", { value: "ENTRY" }, t("settings.lane_ENTRY")),
    el("option", { value: "EXIT" }, t("settings.lane_EXIT")),
  ), "direction");
  const drop = pictureButton(icon("trash"), t("settings.remove_edge"), () => {
    const { edges } = draft.current.mine;
    edges.splice(edges.findIndex((edge) => edge.key === key), 1);
    changed();
  }, "outline-danger");
  drop.classList.add("drop");
  return el(
    "tr", {},
    inputCell(t("settings.edge_id"), box("id")), inputCell(t("settings.edge_name"), box("name")),
    inputCell(t("settings.lane"), lane), el("td", { class: "key", "data-head": t("settings.edge_key") }), el("td", { class: "actions" }, drop),
  );
}

/** One more row, to be filled in. */
export function addEdge(draft, changed) {
  newKeys += 1;
  const key = `new-${newKeys}`;
  draft.current.mine.edges.push({ key, id: "", name: "", direction: null });
  changed();
  at(`edge-${key}-id`).focus();
}

/** The input of a field as the server names it: `edges[1].id`. */
export function edgeInput(draft, field) {
  const [, index, name] = field.match(/^edges\[(\d+)\]\.?(\w*)/) ?? [];
  const edge = index === undefined ? null : draft.current.mine.edges[index];
  return edge && at(`edge-${edge.key}-${["id", "name", "direction"].includes(name) ? name : "id"}`);
}
