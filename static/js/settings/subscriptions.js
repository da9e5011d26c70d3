// Thuê bao: plates that pay by the month. The list is the site's; a change is put on the list as it stands now, so that two
// people who add at the same time both succeed. Of two who change the same entry the second is told, and changes nothing.

import { get, post, put as save } from "../lib/api.js";
import { dateInputs, unreadDates, valueIn } from "../lib/date_field.js";
import { dateText } from "../lib/dates.js";
import { at, el, icon, keyed, put, state as stateOf } from "../lib/dom.js";
import { watch } from "../lib/feed.js";
import { calendarDay, number } from "../lib/format.js";
import { markProblems, pictureButton, unmark } from "../lib/forms.js";
import { confirmed, toast } from "../lib/notices.js";
import { t } from "../lib/texts.js";

const MOST_ROWS = 100;
const FIELDS = ["plate_number", "owner_name", "type", "status", "start_date", "end_date", "phone", "note"];

let all = [];
let known = "";
/** The list may change so often between reading and saving. */
const MOST_TRIES = 5;

export async function startSubscriptions() {
  at("add-subscription").addEventListener("click", () => edit({ type: "monthly", status: "active" }));
  at("subscription-search").addEventListener("input", render);
  await load();
  // Another central's change arrives as an event.
  watch(["events"], ({ events }) => {
    const last = [...events].reverse().find((line) => line.kind === "subscription");
    if (last && last.id !== known) {
      known = last.id;
      load();
    }
  });
}

async function load() {
  try {
    all = (await get("/api/subscriptions")).subscriptions;
    render();
  } catch (error) {
    toast("bad", error.text);
  }
}

const plain = (text) => (text ?? "").toLowerCase().replace(/[\s.-]/g, "");

function render() {
  const wanted = plain(at("subscription-search").value);
  const found = all.filter((one) => wanted === "" || [one.plate_number, one.owner_name, one.phone].some((text) => plain(text).includes(wanted)));
  put("subscription-count", `(${number(all.length)})`);
  at("no-subscriptions").hidden = all.length > 0;
  at("subscriptions-table").hidden = all.length === 0;
  at("more-subscriptions").hidden = found.length <= MOST_ROWS;
  put("more-subscriptions", t("settings.more_subscriptions", { n: number(found.length - MOST_ROWS) }));
  keyed(at("subscription-rows"), found.slice(0, MOST_ROWS), (one) => one.id, () => el("tr"), (row, one) => {
    const active = one.status === "active";
    const cell = (head, ...content) => el("td", { "data-head": t(head) }, content);
    row.replaceChildren(
      cell("settings.plate", el("span", { class: "plate" }, one.plate_number)), cell("settings.owner", one.owner_name, one.phone ? el("div", { class: "quiet" }, one.phone) : null),
      cell("settings.kind", t(`settings.kind_${one.type || "none"}`)), cell("settings.period", `${calendarDay(one.start_date) || "…"} – ${calendarDay(one.end_date) || "…"}`),
      cell("settings.status", stateOf(active ? "good" : "quiet", active ? t("settings.status_active") : t("settings.status_inactive"))),
      el("td", { class: "actions" }, el("div", { class: "buttons" },
        pictureButton(icon("pencil"), t("settings.edit_subscription", { plate: one.plate_number }), () => edit(one)),
        pictureButton(icon("trash"), t("settings.remove_subscription", { plate: one.plate_number }), () => drop(one), "outline-danger"))),
    );
  });
}

/** Applies a change of `one`, as it was shown, to the list as it stands now and saves it: `{error}` if it was refused, else `{removed}`. */
async function change(one, apply) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { subscriptions, version } = await get("/api/subscriptions");
      const now = subscriptions.find((other) => other.id === one.id);
      if (one.id && JSON.stringify(now) !== JSON.stringify(one)) {
        await load();
        return { error: { text: t("settings.subscription_changed"), problems: [] } };
      }
      const { removed } = await save("/api/subscriptions", { subscriptions: apply(subscriptions), version });
      await load();
      return { removed };
    } catch (error) {
      if (error.code !== "stale_version" || attempt === MOST_TRIES) return { error };
    }
  }
}

async function restore(removed) {
  try {
    await post("/api/subscriptions/restore", { subscriptions: removed });
    toast("good", t("settings.subscription_restored"), { about: "subscriptions" });
  } catch (error) {
    toast("bad", error.text, { about: "subscriptions" });
  }
  await load();
}

async function drop(one) {
  const question = { title: t("settings.remove_subscription", { plate: one.plate_number }), text: t("settings.remove_subscription_text"), yes: t("settings.remove"), danger: true };
  if (!await confirmed(question)) return;
  const { error, removed } = await change(one, (list) => list.filter((other) => other.id !== one.id));
  if (error) toast("bad", error.text, { about: "subscriptions" });
  else toast("good", t("settings.subscription_removed"), { about: "subscriptions", action: { text: t("settings.restore"), run: () => restore(removed) } });
}

function edit(one) {
  const inputs = Object.fromEntries(FIELDS.map((field) => [field, inputOf(field, one[field] ?? "")]));
  const cancel = el("button", { type: "button", class: "btn btn-outline-secondary" }, t("common.cancel"));
  const go = el("button", { type: "submit", class: "btn btn-primary" }, t("settings.save_subscription"));
  const title = one.id ? t("settings.edit_subscription", { plate: one.plate_number }) : t("settings.add_subscription");
  const rows = FIELDS.map((field) => el("div", {}, el("label", { class: "form-label", for: `subscription-${field}` }, t(`settings.subscription_${field}`)), inputs[field]));
  const form = el("form", { novalidate: true }, el("h2", { class: "h5", id: "subscription-title" }, title), el("div", { class: "fields two" }, rows), el("div", { class: "answers" }, cancel, go));
  dateInputs(form);
  const dialog = el("dialog", { class: "question wide", "aria-labelledby": "subscription-title" }, form);
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    unmark(form);
    if (unreadDates(form)) return;
    go.disabled = true;
    const given = Object.fromEntries(FIELDS.map((field) => [field, valueIn(inputs[field])]));
    // The plate names a new one: twice the same plate is a slip, and the server says so.
    const entry = { ...one, ...given, id: one.id ?? `tb-${Date.now().toString(36)}` };
    let index = 0;
    const { error = null } = await change(one, (list) => {
      const at = list.findIndex((other) => other.id === entry.id);
      index = at < 0 ? list.length : at;
      return at < 0 ? [...list, entry] : list.map((other, place) => (place === at ? entry : other));
    });
    go.disabled = false;
    if (error === null) {
      dialog.close();
      return toast("good", t("settings.subscription_saved"), { about: "subscriptions" });
    }
    const rest = markProblems(error.problems, (field) => (field.startsWith(`subscriptions[${index}].`) ? inputs[field.split(".").pop()] : null));
    if (rest.length > 0 || error.problems.length === 0) toast("bad", rest.join("; ") || error.text, { about: "subscriptions" });
  });
  document.body.append(dialog);
  dialog.showModal();
}

function inputOf(field, value) {
  const id = `subscription-${field}`;
  const choices = { type: ["company", "monthly", "regular"], status: ["active", "inactive"] }[field];
  if (choices) {
    const text = (choice) => t(field === "type" ? `settings.kind_${choice}` : `settings.status_${choice}`);
    const select = el("select", { class: "form-select", id }, choices.map((choice) => el("option", { value: choice }, text(choice))));
    select.value = choices.includes(value) ? value : choices[0];
    return select;
  }
  if (!field.endsWith("_date")) return el("input", { class: "form-control", id, autocomplete: "off", value });
  return el("input", { class: "form-control", id, "data-date": "day", inputmode: "numeric", autocomplete: "off", value: dateText(value) });
}
