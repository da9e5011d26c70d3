// What a new central still lacks; gone once it is there, or somebody says that it is enough.

import { at, el, keyed, state as stateOf } from "../lib/dom.js";
import { me } from "../lib/login.js";
import { t } from "../lib/texts.js";

const HIDDEN = "settings.checklist";

/** The steps: `{name, href, done}`. Pure. */
export function steps({ site, edges, peer_centrals: peers, backup }, tariffVersion) {
  return [
    { name: "site", href: "#site", done: site.name !== "" },
    { name: "edges", href: "#site", done: edges.length > 0 },
    { name: "tariff", href: "#tariff", done: tariffVersion !== "" && tariffVersion !== "built-in" },
    { name: "peers", href: "#p2p", done: peers.length > 0 },
    { name: "backup", href: "#site", done: Boolean(backup.dir) },
  ];
}

/** `saved`: the settings as they are in force. */
export async function showChecklist(saved, tariffVersion) {
  const all = steps(saved, tariffVersion);
  const open = all.some(({ done }) => !done) && localStorage.getItem(HIDDEN) !== "hidden";
  const account = open ? await me().catch(() => null) : null;
  at("checklist").hidden = !account?.may_administer;
  if (at("checklist").hidden) return;
  at("checklist-enough").onclick = () => {
    localStorage.setItem(HIDDEN, "hidden");
    at("checklist").hidden = true;
  };
  keyed(at("checklist-steps"), all, ({ name }) => name, ({ name, href }) => el(
    "li", {}, el("span"), el("a", { href }, t(`settings.step_${name}_title`)), el("span", { class: "quiet" }, t(`settings.step_${name}_text`)),
  ), (row, { done }) => row.firstElementChild.replaceWith(stateOf(done ? "good" : "wait", t(done ? "settings.step_done" : "settings.step_open"))));
}
