// Secrets that are made here and shown once: tokens of programs, keys of gates.

import { post, remove } from "./api.js";
import { el, state as stateOf } from "./dom.js";
import { confirmed, toast } from "./notices.js";
import { t } from "./texts.js";

/** Shows a secret this once. */
export function showOnce(title, secret) {
  return new Promise((resolve) => {
    const close = el("button", { type: "button", class: "btn btn-primary" }, t("common.noted"));
    const box = el(
      "dialog", { class: "question", "aria-labelledby": "secret-title" },
      el("h2", { class: "h5", id: "secret-title" }, title), el("p", {}, t("common.shown_once")),
      el("code", { class: "secret", tabindex: "0" }, secret), el("div", { class: "answers" }, close),
    );
    close.addEventListener("click", () => box.close());
    box.addEventListener("close", () => { box.remove(); resolve(); });
    document.body.append(box);
    box.showModal();
  });
}

/** Whether a gate has a key. */
export const keyState = (has) => stateOf(has ? "good" : "quiet", t(has ? "common.has_key" : "common.no_key"));

/** To make, renew and revoke the key of a gate. `changed()` is called after each. */
export function keyButtons(edge, has, changed) {
  const address = `/api/access/edges/${encodeURIComponent(edge.id)}/key`;
  const attempt = async (work) => {
    try {
      await work();
      changed();
    } catch (error) {
      toast("bad", error.text);
    }
  };
  const make = async () => {
    if (has && !await confirmed({ title: t("common.renew_key", { edge: edge.id }), text: t("common.renew_text"), yes: t("common.key_renew"), danger: true })) return;
    await attempt(async () => showOnce(t("common.key_made", { edge: edge.id }), (await post(address)).key));
  };
  const revoke = async () => {
    if (!await confirmed({ title: t("common.revoke_key", { edge: edge.id }), text: t("common.at_once"), yes: t("common.key_revoke"), danger: true })) return;
    await attempt(() => remove(address));
  };
  const button = (text, onclick, kind) => el("button", { type: "button", class: `btn btn-sm btn-outline-${kind}`, onclick }, text);
  return [
    button(t(has ? "common.key_renew" : "common.key_make"), make, "secondary"),
    has ? button(t("common.key_revoke"), revoke, "danger") : null,
  ];
}
