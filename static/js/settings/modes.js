// Who has to prove who he is: a switch each, what it means, and red where it is open.

import { at, el, state as stateOf } from "../lib/dom.js";
import { state } from "../lib/feed.js";
import { hasText, t } from "../lib/texts.js";

/** The values of each switch, and how each is shown. */
const MODES = {
  p2p: { tls: "good", open: "bad" },
  admin: { password: "good", open: "bad" },
  edges: { keys: "good", open: "bad" },
  reads: { login: "good", open: "bad" },
  people: { site: "good", local: "good" },
  discovery: { on: "good", off: "good" },
  api: { https: "good", http: "wait" },
};

/** Makes the switches; to be called before what has `data-path` is bound. */
export function makeModes() {
  at("modes").append(...Object.entries(MODES).map(([name, values]) => {
    const options = Object.keys(values).map((value) => el("option", { value }, t(`settings.mode_${name}_${value}`)));
    return el(
      "div", { class: "mode" },
      el("label", { class: "form-label", for: `mode-${name}` }, t(`settings.mode_${name}`)),
      el("select", { class: "form-select", id: `mode-${name}`, "data-path": `security.${name}`, "aria-describedby": `meaning-${name}` }, options),
      el("div", { class: "meaning", id: `meaning-${name}` }),
    );
  }));
}

/** How the other centrals say they are set: a mode is each machine's own, and who opens this page sees the whole site. */
function othersOf(name, value) {
  const ids = new Map();
  const all = Object.entries(state.peers).filter(([, peer]) => !peer.expelled).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  for (const [id, { says }] of all) {
    const mode = says?.modes[name] ?? "";
    ids.set(mode, [...(ids.get(mode) ?? []), id]);
  }
  const shown = (mode) => (hasText(`settings.mode_${name}_${mode}`) ? t(`settings.mode_${name}_${mode}`) : mode);
  return [...ids].map(([mode, those]) => {
    if (mode === value) return stateOf("quiet", t("settings.others_same", { n: those.length }));
    if (mode === "") return stateOf("quiet", t("settings.others_unknown", { ids: those.join(", ") }));
    return stateOf("wait", t("settings.others_differ", { ids: those.join(", "), mode: shown(mode) }));
  });
}

/** What the draft says means. */
export function showModes({ mine, withKeys }) {
  for (const [name, values] of Object.entries(MODES)) {
    const value = mine.security[name];
    const lines = [stateOf(values[value], t(`settings.meaning_${name}_${value}`))];
    const without = mine.edges.filter(({ id }) => id !== "" && !withKeys.has(id)).map(({ id }) => id);
    if (name === "edges" && value === "keys" && without.length > 0) {
      lines.push(stateOf("bad", t("settings.edges_without_key", { edges: without.join(", ") })));
    }
    at(`meaning-${name}`).replaceChildren(...lines, ...othersOf(name, value));
  }
  at("certificate-files").hidden = mine.security.api !== "https";
}
