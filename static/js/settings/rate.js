// One price rule of the price list: how it is counted, with the fields that belong to it. Shows and reads what the API calls a rate.

import { el, icon } from "../lib/dom.js";
import { number } from "../lib/format.js";
import { pictureButton } from "../lib/forms.js";
import { moneyInput, readMoney } from "../lib/money.js";
import { t, typeName } from "../lib/texts.js";

/** The fields of each way to count: name, kind, what stands there at first. `vnd?`: may stay empty. */
const HOURLY = [["fee_base", "hours", 0], ["fee_per_hour", "vnd", 0], ["fee_daily_max", "vnd", 0], ["fee_overnight", "vnd", 0]];
const PLANS = {
  per_visit: [["day_from", "clock", "06:00"], ["night_from", "clock", "18:00"], ["day", "vnd", 0], ["night", "vnd", 0], ["day_and_night", "vnd?", null], ["mixed", "mixed", "both"], ["mixed_below_hours", "whole", 24]],
  steps: [["first_minutes", "minutes", 120], ["first_price", "vnd", 0]],
  nights: [["per_night", "vnd", 0], ["same_day", "vnd", 0]],
  monthly: [["per_month", "vnd", 0]],
};
const STEP = [["minutes", "minutes", 60], ["price", "vnd", 0], ["until_minutes", "minutes?", null]];
const GRACE = [["grace_start_minutes", "minutes", 0], ["grace_end_minutes", "minutes", 0]];
const MIXED = ["both", "larger", "longer"];
const UNITS = { hours: "settings.unit_hours", whole: "settings.unit_hours", vnd: "settings.unit_vnd", minutes: "settings.unit_minutes" };

/** `0,5` or `0.5`. */
const readHours = (text) => (/^\d+(?:[.,]\d{1,2})?$/.test(text) ? Number(text.replace(",", ".")) : null);
const readWhole = (text) => (/^\d+$/.test(text) ? Number(text) : null);
const READERS = { hours: readHours, whole: readWhole, minutes: readWhole, vnd: readMoney };

/** What is typed, as the API wants it; what is none stays a text, and the server says so. */
function valueOf(input) {
  const text = input.value.trim();
  const kind = input.dataset.kind;
  if (kind.endsWith("?") && text === "") return undefined;
  return READERS[kind.replace("?", "")]?.(text) ?? text;
}

/**
 * A rule as a fieldset, whose `readRate()` gives it. `name`: of its ids; `before`: whether what it shows is what holds now, so that a
 * change can be told; `drop`: removes it, null where it has to stay.
 */
export function rateSet({ name, title, rate, changed, before = true, drop = null }) {
  const field = ([key, kind, first], from, prefix = "") => {
    const id = `rate-${name}-${prefix}${key}`.replaceAll(/[[\].]/g, "-");
    const value = from?.[key] ?? first;
    const input = kind === "mixed"
      ? el("select", { class: "form-select", id }, MIXED.map((one) => el("option", { value: one, selected: one === value }, t(`settings.mixed_${one}`))))
      : el("input", { class: "form-control", id, type: kind === "clock" ? "time" : "text", inputmode: "decimal", autocomplete: "off", value: value === null ? "" : kind.startsWith("vnd") || (kind === "hours" && Number.isFinite(value)) ? number(value) : value });
    input.dataset.kind = kind;
    input.dataset.field = prefix + key;
    if (kind.startsWith("vnd")) {
      moneyInput(input, number);
      if (before && Number.isFinite(from?.[key])) input.dataset.before = from[key];
    }
    input.addEventListener("input", changed);
    const unit = UNITS[kind.replace("?", "")];
    return el("div", {}, el("label", { class: "form-label", for: id }, t(`settings.rate_${key}`)), unit ? el("div", { class: "input-group" }, input, el("span", { class: "input-group-text" }, t(unit))) : input);
  };

  const plan = rate.plan ?? null;
  const of = (kind) => (plan?.kind === kind ? plan : null);
  const hourly = el("div", { class: "fields", "data-how": "hourly" }, HOURLY.map((one) => field(one, rate)));
  const groups = Object.entries(PLANS).map(([kind, fields]) => el("div", { class: "fields", "data-how": kind }, fields.map((one) => field(one, of(kind), "plan.")), kind === "steps" ? null : []));
  const grace = el("div", { class: "fields two" }, GRACE.map((one) => field(one, plan, "plan.")));

  // What follows the first block: a row for each price.
  const steps = el("div", { class: "step-rows", "data-how": "steps" });
  const numberSteps = () => [...steps.querySelectorAll(".fields")].forEach((row, index) => {
    for (const input of row.querySelectorAll("[data-kind]")) input.dataset.field = input.dataset.field.replace(/\[\d+\]/, `[${index}]`);
  });
  const addStep = (step = null) => {
    const index = steps.querySelectorAll(".fields").length;
    const remove = pictureButton(icon("trash"), t("settings.remove_step"), (event) => { event.currentTarget.closest(".fields").remove(); numberSteps(); changed(); }, "outline-danger");
    more.before(el("div", { class: "fields step" }, STEP.map((one) => field(one, step, `plan.steps[${index}].`)), remove));
  };
  const more = el("button", { type: "button", class: "btn btn-outline-secondary btn-sm", onclick: () => { addStep(); changed(); } }, icon("plus-lg"), " ", t("settings.add_step"));
  steps.append(more);
  for (const step of of("steps")?.steps ?? []) addStep(step);

  const how = el("select", { class: "form-select how", id: `rate-${name}-how` }, ["hourly", ...Object.keys(PLANS)].map((kind) => el("option", { value: kind, selected: kind === (plan?.kind ?? "hourly") }, t(`settings.how_${kind}`))));
  const set = el(
    "fieldset", { class: "panel-body rate" },
    el("legend", {}, title, " ", drop ? pictureButton(icon("trash"), t("settings.remove_type", { type: title }), drop, "outline-danger") : null),
    el("div", { class: "how-row" }, el("label", { class: "form-label", for: how.id }, t("settings.how")), how),
    hourly, groups, steps, grace,
  );
  const show = () => {
    for (const group of set.querySelectorAll("[data-how]")) group.hidden = group.dataset.how !== how.value;
    grace.hidden = how.value === "hourly";
    const mixed = set.querySelector("[data-kind=mixed]");
    set.querySelector("[data-field='plan.mixed_below_hours']").closest(".fields > div").hidden = mixed.value === "both";
  };
  set.addEventListener("input", show);
  how.addEventListener("input", changed);
  show();

  set.readRate = () => {
    const take = (part) => Object.fromEntries([...part.querySelectorAll("[data-kind]")].map((input) => [input.dataset.field.replace(/^.*\./, ""), valueOf(input)]));
    // The fields by the hour stay: centrals of versions that know no other way go by them.
    const read = take(hourly);
    if (how.value === "hourly") return read;
    const { grace_start_minutes, grace_end_minutes } = take(grace);
    const chosen = groups.find((group) => group.dataset.how === how.value);
    const made = { kind: how.value, ...take(chosen), ...(grace_start_minutes === 0 ? {} : { grace_start_minutes }), ...(grace_end_minutes === 0 ? {} : { grace_end_minutes }) };
    if (how.value === "steps") made.steps = [...steps.querySelectorAll(".fields")].map(take);
    if (made.mixed === "both") delete made.mixed_below_hours;
    return { ...read, plan: made };
  };
  return set;
}

/** Whether an input stands in a way to count that is not chosen. */
export const isPutAside = (input) => input.closest("[hidden]") !== null;

/**
 * The rules for all vehicle types and for some: an element whose `readRates()` gives `{rate, types}`. `base`: the rule for all others, null
 * where there need not be one. `path()`: where it stands in the price list, as the server names fields.
 */
export function rateTable({ name, base, types, baseTitle, path, changed, before = true, knownTypes, optional = false }) {
  const list = el("div", { class: "rates" });
  const add = (type, rate, isHeld) => {
    const title = type === "" ? baseTitle : typeName(type);
    const mayGo = type !== "" || optional;
    const set = rateSet({ name: type === "" ? name : `${name}${type}`, title, rate, changed, before: isHeld, drop: mayGo ? () => { set.remove(); changed(); } : null });
    set.dataset.type = type;
    list.append(set);
  };
  if (base) add("", base, before);
  for (const [type, rate] of Object.entries(types)) add(type, rate, before);
  const sets = () => [...list.children];
  const input = el("input", { class: "form-control", id: `new-type${name}`, list: "types", autocomplete: "off" });
  const button = el("button", { type: "button", class: "btn btn-outline-secondary", id: `add-type${name}` }, t("settings.add"));
  button.addEventListener("click", () => {
    const said = input.value.trim();
    // People name types as they are shown; the gates name them otherwise.
    const type = knownTypes.find((known) => typeName(known).toLowerCase() === said.toLowerCase()) ?? said;
    if (type === "" || sets().some((set) => set.dataset.type === type)) return input.focus();
    add(type, sets()[0]?.readRate() ?? { fee_base: 0, fee_per_hour: 0 }, false);
    input.value = "";
    changed();
  });
  const made = el("div", {}, list, el("div", { class: "panel-body fields two adds" }, el("div", {}, el("label", { class: "form-label", for: input.id }, t("settings.new_type")), el("div", { class: "input-group" }, input, button))));
  made.readRates = () => {
    const all = sets().map((set) => {
      set.dataset.place = set.dataset.type === "" ? (optional ? `${path()}.rate` : path()) : `${path()}.types.${set.dataset.type}`;
      return [set.dataset.type, set.readRate()];
    });
    const rate = all.find(([type]) => type === "")?.[1] ?? null;
    const others = all.filter(([type]) => type !== "");
    return { rate, types: others.length > 0 ? Object.fromEntries(others) : undefined };
  };
  return made;
}
