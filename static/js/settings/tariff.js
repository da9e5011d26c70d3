// Phí gửi xe: the tariff of the site, with what it would cost as the person types. The server works it out: one rule, one place.

import { get, post, put as save } from "../lib/api.js";
import { at, el, icon, put } from "../lib/dom.js";
import { centralNow, state, watch } from "../lib/feed.js";
import { feeLines } from "../lib/fee.js";
import { day, duration, money, number, siteTime } from "../lib/format.js";
import { mark, markProblems, pictureButton, unmark } from "../lib/forms.js";
import { doubtful, moneyInput, readMoney } from "../lib/money.js";
import { confirmed, toast } from "../lib/notices.js";
import { KNOWN_TYPES, t, typeName } from "../lib/texts.js";

const FIELDS = ["fee_base", "fee_per_hour", "fee_daily_max", "fee_overnight"];
/** The one that is no amount. */
const HOURS = "fee_base";
const PREVIEW_PAUSE_MS = 150;
/** What may have a price of its own at most sites; others by the name the gates give. */

/** What the fields do not show, and is kept: lists for some days, the price of a lost card; plans by vehicle type. */
let kept = {};
let plans = {};

/** As the fields show it. */
let saved = null;
let version = null;
let timer = 0;

const isDirty = () => saved !== null && JSON.stringify(read()) !== JSON.stringify(saved);
export const tariffIsDirty = isDirty;

export async function startTariff() {
  at("tariff-form").addEventListener("submit", (event) => { event.preventDefault(); saveTariff(); });
  at("undo-tariff").addEventListener("click", () => render(saved));
  at("add-type").addEventListener("click", addType);
  at("types").replaceChildren(...KNOWN_TYPES.map((type) => el("option", { value: typeName(type) })));
  for (const name of ["preview-entry", "preview-exit", "preview-days", "preview-type"]) at(name).addEventListener("input", preview);
  await load();
  watch(["central"], othersSaved);
}

async function load() {
  try {
    const answer = await get("/api/parking/fees");
    version = answer.version;
    put("announced", (answer.announced ?? []).map((one) => t("settings.announced", { from: siteTime(one.valid_from) })).join(" "));
    put("tariff-version", answer.version ? t("settings.tariff_version", { version: answer.version }) : t("settings.tariff_default"));
    render(answer.fees);
    saved = read();
    changed();
  } catch (error) {
    toast("bad", error.text);
  }
}

/** Another central's save arrives as an event. */
function othersSaved({ central }) {
  if (central.tariff_version === "" || (version ?? "built-in") === central.tariff_version) return;
  if (isDirty()) put("tariff-version", t("settings.tariff_changed"));
  else load();
}

function render(fees) {
  const types = Object.entries(fees.types ?? {});
  kept = { days: fees.days, lost_card: fees.lost_card };
  plans = Object.fromEntries([["", fees], ...types].map(([type, rate]) => [type, rate.plan]));
  at("rates").replaceChildren(rate("", fees), ...types.map(([type, fees]) => rate(type, fees)));
  changed();
}

function rate(type, fees) {
  const title = type === "" ? t("settings.rate_base") : typeName(type) === type ? type : `${typeName(type)} (${type})`;
  const inputs = FIELDS.map((field) => {
    const id = `rate-${type}-${field}`;
    const isHours = field === HOURS;
    const value = isHours ? fees[field] ?? 0 : number(fees[field] ?? 0);
    const input = el("input", { class: "form-control", id, "data-field": field, inputmode: "decimal", autocomplete: "off", value });
    if (!isHours) moneyInput(input, number);
    input.addEventListener("input", changed);
    return el("div", {}, el("label", { class: "form-label", for: id }, t(`settings.rate_${field}`)), el("div", { class: "input-group" }, input, el("span", { class: "input-group-text" }, t(isHours ? "settings.unit_hours" : "settings.unit_vnd"))));
  });
  const drop = type === "" ? null : pictureButton(icon("trash"), t("settings.remove_type", { type }), (event) => { event.target.closest("fieldset").remove(); changed(); }, "outline-danger");
  const plan = fees.plan ? el("p", { class: "form-text" }, t("settings.has_plan", { kind: t(`settings.plan_${fees.plan.kind}`) })) : null;
  const lists = type === "" && fees.days ? el("p", { class: "form-text" }, t("settings.has_lists", { names: fees.days.map((list) => list.name).join(", ") })) : null;
  return el("fieldset", { class: "panel-body rate", "data-type": type }, el("legend", {}, title, " ", drop), plan, lists, el("div", { class: "fields" }, inputs));
}

/** What is typed, as the server wants it; what is no number stays a text, and the server says so. */
function read() {
  const result = JSON.parse(JSON.stringify(kept));
  for (const set of at("rates").querySelectorAll("fieldset")) {
    const fees = {};
    for (const input of set.querySelectorAll("[data-field]")) {
      fees[input.dataset.field] = (input.dataset.field === HOURS ? readHours : readMoney)(input.value) ?? input.value.trim();
    }
    if (plans[set.dataset.type]) fees.plan = plans[set.dataset.type];
    if (set.dataset.type === "") Object.assign(result, fees);
    else (result.types ??= {})[set.dataset.type] = fees;
  }
  return result;
}

/** `0,5` or `0.5`. */
const readHours = (text) => (/^\d+(?:[.,]\d{1,2})?$/.test(text.trim()) ? Number(text.trim().replace(",", ".")) : null);

function changed() {
  at("save-tariff").disabled = at("undo-tariff").disabled = !isDirty();
  const types = ["", ...[...at("rates").querySelectorAll("fieldset")].map((set) => set.dataset.type).filter(Boolean)];
  const picker = at("preview-type");
  const chosen = picker.value;
  picker.replaceChildren(...types.map((type) => el("option", { value: type }, type === "" ? t("settings.any_type") : typeName(type))));
  picker.value = types.includes(chosen) ? chosen : "";
  preview();
}

function addType() {
  const said = at("new-type").value.trim();
  // People name types as they are shown; the gates name them otherwise.
  const type = KNOWN_TYPES.find((known) => typeName(known).toLowerCase() === said.toLowerCase()) ?? said;
  if (type === "" || [...at("rates").querySelectorAll("fieldset")].some((set) => set.dataset.type === type)) return at("new-type").focus();
  const base = read();
  plans[type] = base.plan;
  at("rates").append(rate(type, { ...base, days: null }));
  at("new-type").value = "";
  changed();
}

function preview() {
  clearTimeout(timer);
  timer = setTimeout(showPreview, PREVIEW_PAUSE_MS);
}

async function showPreview() {
  const [entry, exit, days] = ["preview-entry", "preview-exit", "preview-days"].map((name) => at(name).value);
  const today = state.central ? dateOf(centralNow()) : null;
  if (!today || !entry || !exit) return;
  const later = dateOf(centralNow() + (Number.parseInt(days, 10) || 0) * 86_400_000);
  unmark(at("rates"));
  try {
    const body = { fees: read(), camera_type: at("preview-type").value, entry_time: `${today} ${entry}:00`, exit_time: `${later} ${exit}:00` };
    const { fee, lines, duration_ms } = await post("/api/parking/fees/preview", body);
    put("preview-fee", `${duration(duration_ms)} → ${money(fee)}`);
    at("preview-lines").replaceChildren(feeLines(lines));
  } catch (error) {
    put("preview-fee", "–");
    at("preview-lines").replaceChildren();
    for (const problem of error.problems ?? []) inputOf(problem.field)?.classList.add("is-invalid");
  }
}

function dateOf(ms) {
  const [d, m, y] = day(ms).split("/");
  return `${y}-${m.padStart(2, "0")}-${d.padStart(2, "0")}`;
}

/** `fees.fee_per_hour`, `fees.types.moto.fee_base`. */
function inputOf(field) {
  const parts = field.split(".");
  const name = parts[parts.length - 1];
  const type = parts[1] === "types" ? parts.slice(2, -1).join(".") : "";
  return document.getElementById(`rate-${type}-${name}`);
}

/** Slips of a zero or a thousand, each as a sentence: `[["Ô tô: Phí mỗi giờ: 25.000 đ → 3 đ", …]]`. */
function slips(fees) {
  const found = [];
  for (const type of ["", ...Object.keys(fees.types ?? {})]) {
    const now = type === "" ? fees : fees.types[type];
    const before = type === "" ? saved : saved.types?.[type];
    for (const field of FIELDS.filter((field) => field !== HOURS && doubtful(now[field], before?.[field] ?? null))) {
      const values = { type: type === "" ? t("settings.rate_base") : typeName(type), field: t(`settings.rate_${field}`), before: before ? money(before[field]) : "–", after: money(now[field]) };
      found.push(t("settings.slip", values));
    }
  }
  return found;
}

/** Marks what is no amount, in words that say how one is written. */
function markAmounts() {
  const wrong = [...at("rates").querySelectorAll("[data-field]")].filter((input) => input.dataset.field !== HOURS && readMoney(input.value) === null);
  for (const input of wrong) mark(input, t("common.no_amount"));
  wrong[0]?.focus();
  return wrong.length > 0;
}

async function saveTariff() {
  unmark(at("tariff-form"));
  if (markAmounts()) return;
  const doubts = slips(read());
  if (doubts.length > 0 && !await confirmed({ title: t("settings.slips"), text: doubts.join("\n"), yes: t("settings.slips_yes"), danger: true })) return;
  await sendTariff();
}

/** Saves what is typed over the tariff that was read; over another one only after asking. */
async function sendTariff() {
  try {
    await save("/api/parking/fees", { fees: read(), version });
    toast("good", t("settings.tariff_saved"));
    await load();
  } catch (error) {
    if (error.code === "stale_version") {
      const overwrite = { title: t("settings.tariff_changed"), text: t("settings.tariff_overwrite"), yes: t("settings.save_tariff"), danger: true };
      if (!await confirmed(overwrite)) return load();
      version = error.body.version;
      return sendTariff();
    }
    const rest = markProblems(error.problems ?? [], inputOf);
    toast("bad", `${t("settings.tariff_failed")}${rest.length > 0 || error.problems?.length === 0 ? `: ${rest.join("; ") || error.text}` : ""}`);
  }
}
