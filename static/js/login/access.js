// For administrators: who can log in, what programs may call, and which gate has a key. What is made here in secret is shown once.

import { get, post, put as save, remove } from "../lib/api.js";
import { at, el, keyed, state } from "../lib/dom.js";
import { moment } from "../lib/format.js";
import { plain } from "../lib/login.js";
import { confirmed, toast } from "../lib/notices.js";
import { keyButtons, keyState, showOnce } from "../lib/secrets.js";
import { t } from "../lib/texts.js";
import { markProblems, unmark } from "../lib/forms.js";

const path = (...parts) => parts.map(encodeURIComponent).join("/");

/** Shows the lists and keeps them as they are after each change. */
export async function startAccess(own) {
  bind("people-form", { name: "person-name", password: "person-password", role: "person-role" }, async () => {
    const [name, role, password] = ["person-name", "person-role", "person-password"].map((id) => at(id).value);
    await post("/api/access/people", { name, role, password: plain(password) });
  });
  bind("tokens-form", { name: "token-name", role: "token-role" }, async () => {
    const { token } = await post("/api/access/tokens", { name: at("token-name").value, role: at("token-role").value });
    await showOnce(t("login.token_made"), token);
  });
  at("access").hidden = false;
  at("tabs").hidden = false;
  document.body.classList.add("inside");
  await load(own);
  document.addEventListener("access-changed", () => load(own));
}

const changed = () => document.dispatchEvent(new CustomEvent("access-changed"));

function bind(form, fields, work) {
  at(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    unmark(event.target);
    try {
      await work();
      event.target.reset();
      changed();
    } catch (error) {
      const rest = markProblems(error.problems ?? [], (field) => (fields[field] ? at(fields[field]) : null));
      if ((error.problems ?? []).length === 0) rest.push(error.text);
      if (rest.length > 0) toast("bad", rest.join("; "));
    }
  });
}

async function load(own) {
  const [{ people, known, not_known_at: missing, overruled }, { tokens }, { config, edges_with_keys: keyed_edges }] = await Promise.all(
    ["/api/access/people", "/api/access/tokens", "/api/p2p/config"].map((address) => get(address)),
  );
  at("no-people").hidden = people.length > 0;
  at("people-table").hidden = people.length === 0;
  at("people-known").hidden = people.length === 0 && known === "local";
  showKnown(known, missing, overruled);
  if (missing.length > 0) againLater(own);
  rows("people", people, (one) => one.name, (one) => [
    cell("login.name", one.name), cell("login.role", t(`common.role_${one.role}`)), cell("login.set", moment(one.set_ms)),
    actions(
      button(t("login.other_password"), () => newPassword(one)),
      one.name === own ? null : button(t("login.remove"), () => removePerson(one), true),
    ),
  ]);
  at("no-tokens").hidden = tokens.length > 0;
  at("tokens-table").hidden = tokens.length === 0;
  rows("tokens", tokens, (one) => one.name, (one) => [
    cell("login.name", one.name), cell("login.role", t(`common.role_${one.role}`)), cell("login.made_by", one.made_by || "–"),
    cell("login.used", one.used_ms ? moment(one.used_ms) : t("login.never")),
    actions(button(t("login.revoke"), () => drop(t("login.revoke_token", { name: one.name }), `/api/access/tokens/${path(one.name)}`), true)),
  ]);
  at("no-edge-keys").hidden = config.edges.length > 0;
  at("edge-keys-table").hidden = config.edges.length === 0;
  rows("edge-keys", config.edges, (edge) => edge.id, (edge) => {
    const has = keyed_edges.includes(edge.id);
    return [
      cell("login.edge", edge.name ? `${edge.name} (${edge.id})` : edge.id), cell("login.key", keyState(has)),
      actions(...keyButtons(edge, has, changed)),
    ];
  });
}

let again;

/** Others hear of a change within a second, or when they are back. */
function againLater(own) {
  clearTimeout(again);
  again = setTimeout(() => load(own).catch(() => againLater(own)), 5000);
}

/** At which centrals these people can log in, and what was changed at two of them at once. */
function showKnown(known, missing, overruled) {
  const isLocal = known === "local";
  const text = isLocal ? t("login.known_local") : missing.length === 0 ? t("login.known_all") : t("login.not_known", { centrals: missing.map((one) => t(`login.not_known_${one.why}`, { central: one.central })).join(", ") });
  const change = ({ by, central, at_ms: atMs }) => `${by || "–"}${central ? ` (${central})` : ""}, ${moment(atMs)}`;
  at("people-known").replaceChildren(
    state(isLocal ? "quiet" : missing.length > 0 ? "wait" : "good", text),
    isLocal ? el("div", { class: "buttons" }, button(t("login.make_known"), makeKnown)) : "",
    ...overruled.map((one) => el("p", { class: "mb-0" }, state("wait", t("login.overruled", { name: one.name, lost: change(one.lost), counts: change(one.counts) })))),
  );
}

async function makeKnown() {
  if (!await confirmed({ title: t("login.make_known_title"), text: t("login.make_known_text"), yes: t("login.make_known") })) return;
  await attempt(() => save("/api/p2p/config", { security: { people: "site" } }));
}

function rows(id, items, keyOf, cells) {
  keyed(at(id), items, keyOf, () => el("tr"), (row, item) => row.replaceChildren(...cells(item)));
}

const cell = (head, text) => el("td", { "data-head": t(head) }, text);
const actions = (...buttons) => el("td", { class: "actions" }, el("div", { class: "buttons" }, buttons));
const button = (text, onclick, danger = false) =>
  el("button", { type: "button", class: `btn btn-sm btn-outline-${danger ? "danger" : "secondary"}`, onclick }, text);

async function attempt(work) {
  try {
    await work();
    changed();
  } catch (error) {
    toast("bad", error.text);
  }
}

/** With the person go the tokens that person made: which, is said afterwards. */
async function removePerson({ name }) {
  const title = t("login.remove_person", { name });
  if (!await confirmed({ title, text: t("login.tokens_end_too", { name }), yes: t("login.yes_remove"), danger: true })) return;
  await attempt(async () => {
    const { tokens_ended: ended } = await remove(`/api/access/people/${path(name)}`);
    if (ended.length > 0) toast("wait", t("login.tokens_ended", { tokens: ended.join(", ") }));
  });
}

async function drop(title, address) {
  if (await confirmed({ title, text: t("common.at_once"), yes: t("login.yes_remove"), danger: true })) await attempt(() => remove(address));
}

/** Asks for another password of somebody, who is logged out by it. */
function newPassword(person) {
  const input = el("input", { class: "form-control", type: "password", id: "other-password", autocomplete: "new-password" });
  dialog(t("login.password_of", { name: person.name }), el("div", {}, el("label", { class: "form-label", for: "other-password" }, t("login.new_password")), input), t("login.other_password"), () =>
    attempt(() => save(`/api/access/people/${path(person.name)}`, { password: plain(input.value) })));
}

function dialog(title, content, yes, done) {
  return new Promise((resolve) => {
    const heading = el("h2", { class: "h5", id: "access-question" }, title);
    const box = el("dialog", { class: "question", "aria-labelledby": "access-question" }, heading, content);
    const close = el("button", { type: "button", class: "btn btn-primary" }, yes);
    const cancel = el("button", { type: "button", class: "btn btn-outline-secondary" }, t("common.cancel"));
    close.addEventListener("click", () => box.close("yes"));
    cancel.addEventListener("click", () => box.close("no"));
    box.append(el("div", { class: "answers" }, content.querySelector("input") ? cancel : null, close));
    for (const nothing of box.querySelectorAll(".answers > :not(button)")) nothing.remove();
    box.addEventListener("close", async () => {
      box.remove();
      if (box.returnValue === "yes") await done();
      resolve();
    });
    document.body.append(box);
    box.showModal();
  });
}
