// Phí gửi xe: the price list of the site, with what a stay would cost as the person types. The server works it out: one rule, one place.

import { get, post, put as save } from "../lib/api.js";
import { putIn, valueIn } from "../lib/date_field.js";
import { at, el, icon, put } from "../lib/dom.js";
import { centralNow, state, watch } from "../lib/feed.js";
import { feeLines } from "../lib/fee.js";
import { duration, money, number, serverDay, siteTime } from "../lib/format.js";
import { mark, markProblems, unmark } from "../lib/forms.js";
import { doubtful, moneyInput, readMoney } from "../lib/money.js";
import { confirmed, toast } from "../lib/notices.js";
import { KNOWN_TYPES, t, typeName } from "../lib/texts.js";
import { dayList } from "./days.js";
import { isPutAside, rateTable } from "./rate.js";
import { read as forReading, lock, write } from "./reading.js";

const PREVIEW_PAUSE_MS = 150;
const DAY_MS = 86_400_000;

/** What holds now, as the fields show it. */
let saved = null;
let version = null;
/** The lists that were announced, the soonest first. */
let ahead = [];
let table = null;
let timer = 0;

const isDirty = () => saved !== null && JSON.stringify(read()) !== JSON.stringify(saved);
export const tariffIsDirty = isDirty;

export async function startTariff() {
  at("tariff-form").addEventListener("submit", (event) => { event.preventDefault(); saveTariff(); });
  at("undo-tariff").addEventListener("click", () => { showWhen(""); render(saved); forReading(at("tariff-form")); });
  at("add-list").addEventListener("click", () => { addList({ name: "", rate: read() }, false); changed(); });
  at("types").replaceChildren(...KNOWN_TYPES.map((type) => el("option", { value: typeName(type) })));
  moneyInput(at("lost-card"), number).addEventListener("input", changed);
  at("when").addEventListener("change", () => showWhen(at("when").value === "later" ? valueIn(at("valid-from")) || `${serverDay(centralNow() + DAY_MS)}T00:00` : ""));
  at("valid-from").addEventListener("input", changed);
  at("preview-date").addEventListener("change", preview);
  for (const name of ["preview-entry", "preview-exit", "preview-days", "preview-type", "preview-lost"]) at(name).addEventListener("input", preview);
  await load();
  watch(["central"], (news) => {
    othersSaved(news);
    // The day of the site may have come after the prices.
    if (at("preview-date").value === "") preview();
  });
}

async function load() {
  try {
    const answer = await get("/api/parking/fees");
    version = answer.version;
    put("tariff-version", t(version ? "settings.in_force" : "settings.tariff_default")).title = version ?? "";
    showAnnounced(answer.announced ?? []);
    showWhen("");
    render(answer.fees);
    saved = read();
    changed();
  } catch (error) {
    toast("bad", error.text);
  }
}

/** What comes into force later, each to be looked at, changed or withdrawn. */
function showAnnounced(announced) {
  ahead = announced;
  at("announced").hidden = announced.length === 0;
  at("announced").replaceChildren(...announced.map((one) => {
    const from = siteTime(one.valid_from);
    const look = el("button", { type: "button", class: "btn btn-sm btn-outline-secondary" }, icon("pencil"), " ", t("settings.announced_edit"));
    look.addEventListener("click", () => { write(at("tariff-form")); showWhen(one.valid_from.slice(0, 16).replace(" ", "T")); render(one.fees, false); });
    const withdraw = el("button", { type: "button", class: "btn btn-sm btn-outline-danger" }, t("settings.announced_withdraw"));
    withdraw.addEventListener("click", async () => {
      if (!await confirmed({ title: t("settings.withdraw_question", { from }), text: t("settings.withdraw_text"), yes: t("settings.announced_withdraw"), danger: true })) return;
      try {
        await save("/api/parking/fees", { fees: null, valid_from: one.valid_from });
        toast("good", t("settings.withdrawn", { from }), { about: "withdrawal" });
        await load();
      } catch (error) {
        toast("bad", error.text, { about: "withdrawal" });
      }
    });
    return el("li", {}, el("span", {}, t("settings.announced", { from })), el("span", { class: "buttons" }, look, withdraw));
  }));
}

/** From when the list is to count: `2026-12-01T00:00`; empty: at once. */
function showWhen(from) {
  at("when").value = from ? "later" : "now";
  putIn(at("valid-from"), from);
  at("valid-from").closest(".date-field").hidden = !from;
  if (from) putIn(at("preview-date"), from.slice(0, 10));
  mark(at("valid-from"), null);
  put("save-tariff", t(from ? "settings.announce_tariff" : "settings.save_tariff"));
  if (saved) changed();
}

/** Another central's save arrives as an event. */
function othersSaved({ central }) {
  if (central.tariff_version === "" || (version ?? "built-in") === central.tariff_version) return;
  if (isDirty()) put("tariff-version", t("settings.tariff_changed"));
  else load();
}

/** `holds`: it is what counts now, so that a change of it can be told. */
function render(fees, holds = true) {
  table = rateTable({ name: "", base: fees, types: fees.types ?? {}, baseTitle: t("settings.rate_base"), path: () => "fees", changed, before: holds, knownTypes: KNOWN_TYPES });
  at("rates").replaceChildren(table);
  at("day-lists").replaceChildren();
  for (const list of fees.days ?? []) addList(list, holds);
  at("lost-card").value = Number.isFinite(fees.lost_card) ? number(fees.lost_card) : "";
  lock();
  if (saved) changed();
}

function addList(list, holds) {
  const made = dayList({ list, changed, before: holds, drop: () => { made.remove(); changed(); } });
  at("day-lists").append(made);
}

/** What is typed, as the server wants it; what is no number stays a text, and the server says so. */
function read() {
  const { rate, types } = table.readRates();
  const days = [...at("day-lists").children].map((list, index) => list.readList(index));
  const lost = at("lost-card").value.trim();
  return { ...rate, ...(types ? { types } : {}), ...(days.length > 0 ? { days } : {}), ...(lost === "" ? {} : { lost_card: readMoney(lost) ?? lost }) };
}

function changed() {
  const later = at("when").value === "later";
  at("save-tariff").disabled = !isDirty() && !later;
  at("undo-tariff").disabled = at("save-tariff").disabled;
  const named = [...at("tariff-form").querySelectorAll("[data-type]")].map((set) => set.dataset.type);
  const types = ["", ...new Set(named.filter(Boolean))];
  const picker = at("preview-type");
  const chosen = picker.value;
  picker.replaceChildren(...types.map((type) => el("option", { value: type }, type === "" ? t("settings.any_type") : typeName(type))));
  picker.value = types.includes(chosen) ? chosen : "";
  preview();
}

function preview() {
  clearTimeout(timer);
  timer = setTimeout(showPreview, PREVIEW_PAUSE_MS);
}

/** From when what is typed is to count, as the server takes it; empty: at once, or no moment anybody can read. */
function announcedFrom() {
  const from = at("when").value === "later" ? valueIn(at("valid-from")) : "";
  return from && `${from.replace("T", " ")}:00`;
}

/** What a car that leaves at `until` is charged by: the list in the fields, unless one that was announced counts by then. */
function listAt(until) {
  const from = announcedFrom();
  if (from > until) return { fees: read(), note: t("settings.preview_before", { from: siteTime(from) }) };
  const next = ahead.filter(({ valid_from: start }) => start > from && start <= until).pop();
  if (!next) return { fees: read(), note: "" };
  const then = { from: siteTime(next.valid_from) };
  return from || isDirty() ? { fees: read(), note: t("settings.preview_typed", then) } : { fees: next.fees, note: t("settings.preview_announced", then) };
}

/** A time of day as people write it, `7:30`, `7h30`, `0730`, `22h`; empty: it is none. The browser's own field would go by its own language. */
function timeIn(text) {
  const [, hour, minute = "00"] = /^(\d{1,2})(?:[:.h]?(\d\d)|h)?$/.exec(text.trim()) ?? [];
  return hour < 24 && minute < 60 ? `${hour.padStart(2, "0")}:${minute}` : "";
}

async function showPreview() {
  const [entry, exit] = ["preview-entry", "preview-exit"].map((name) => timeIn(at(name).value));
  const days = at("preview-days").value;
  if (!state.central) return;
  if (!entry || !exit) {
    put("preview-fee", "–");
    at("preview-lines").replaceChildren();
    return;
  }
  const first = valueIn(at("preview-date")) || serverDay(centralNow());
  if (at("preview-date").value === "") putIn(at("preview-date"), first);
  const last = serverDay(Date.parse(`${first}T05:00:00Z`) + (Number.parseInt(days, 10) || 0) * DAY_MS);
  unmark(at("tariff-form"));
  try {
    const { fees, note } = listAt(`${last} ${exit}:00`);
    put("preview-note", note);
    const body = { fees, camera_type: at("preview-type").value, entry_time: `${first} ${entry}:00`, exit_time: `${last} ${exit}:00`, lost_card: at("preview-lost").checked };
    const { fee, lines, duration_ms } = await post("/api/parking/fees/preview", body);
    put("preview-fee", `${duration(duration_ms)} → ${money(fee)}`);
    at("preview-lines").replaceChildren(feeLines(lines));
  } catch (error) {
    put("preview-fee", "–");
    at("preview-lines").replaceChildren();
    for (const problem of error.problems ?? []) inputOf(problem.field)?.classList.add("is-invalid");
  }
}

/** The input of a field as the server names it: `fees.fee_per_hour`, `fees.days[0].types.moto.plan.day`. */
function inputOf(field) {
  const path = (input) => input.closest("[data-place]")?.dataset.place;
  return [...at("tariff-form").querySelectorAll("[data-field]")].find((input) => `${path(input)}.${input.dataset.field}` === field);
}

const amounts = () => [...at("tariff-form").querySelectorAll("[data-kind^=vnd]")].filter((input) => !isPutAside(input));

/** Slips of a zero or a thousand, each as a sentence: `["Ô tô: Phí mỗi giờ: 25.000 đ → 3 đ", …]`. */
function slips() {
  return amounts().flatMap((input) => {
    const [now, before] = [readMoney(input.value), input.dataset.before === undefined ? null : Number(input.dataset.before)];
    if (now === null || !doubtful(now, before)) return [];
    const type = input.closest("[data-type]")?.dataset.type ?? "";
    return [t("settings.slip", { type: type === "" ? t("settings.rate_base") : typeName(type), field: input.labels[0].textContent, before: before === null ? "–" : money(before), after: money(now) })];
  });
}

/** Marks what is no amount, in words that say how one is written. */
function markAmounts() {
  const wrong = amounts().filter((input) => readMoney(input.value) === null && !(input.dataset.kind === "vnd?" && input.value.trim() === ""));
  for (const input of wrong) mark(input, t("common.no_amount"));
  wrong[0]?.focus();
  return wrong.length > 0;
}

async function saveTariff() {
  unmark(at("tariff-form"));
  if (markAmounts()) return;
  if (at("when").value === "later" && !announcedFrom()) return mark(at("valid-from"), t("settings.when_missing"));
  const doubts = slips();
  if (doubts.length > 0 && !await confirmed({ title: t("settings.slips"), text: doubts.join("\n"), yes: t("settings.slips_yes"), danger: true })) return;
  await sendTariff();
}

/** Saves what is typed over the tariff that was read; over another one only after asking. */
async function sendTariff() {
  const from = announcedFrom();
  try {
    await save("/api/parking/fees", { fees: read(), version, ...(from ? { valid_from: from } : {}) });
    await load();
    forReading(at("tariff-form"));
    toast("good", from ? t("settings.tariff_announced", { from: siteTime(from) }) : t("settings.tariff_saved"), { about: "tariff" });
  } catch (error) {
    if (error.code === "stale_version") {
      const overwrite = { title: t("settings.tariff_changed"), text: t("settings.tariff_overwrite"), yes: t("settings.save_tariff"), danger: true };
      if (!await confirmed(overwrite)) return load();
      version = error.body.version;
      return sendTariff();
    }
    const rest = markProblems(error.problems ?? [], (field) => (field === "valid_from" ? at("valid-from") : inputOf(field)));
    toast("bad", `${t("settings.tariff_failed")}${rest.length > 0 || error.problems?.length === 0 ? `: ${rest.join("; ") || error.text}` : ""}`, { about: "tariff" });
  }
}
