// Price lists for some days: weekends, Tết. Each with its name, its days, and its prices.

import { el, icon } from "../lib/dom.js";
import { calendarDay } from "../lib/format.js";
import { pictureButton } from "../lib/forms.js";
import { KNOWN_TYPES, t } from "../lib/texts.js";
import { rateTable } from "./rate.js";

const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** `17/02/2026, 18/2/2026` as the server writes days; what is no day stays as it is typed, and the server says so. */
export const readDates = (text) => text.split(/[,;\s]+/).filter(Boolean).map((typed) => {
  const [, d, m, y] = /^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})$/.exec(typed) ?? [];
  return y ? `${y}-${m.padStart(2, "0")}-${d.padStart(2, "0")}` : typed;
});

let made = 0;

/** One list as an element whose `readList(index)` gives it. `drop` removes it. */
export function dayList({ list, changed, before, drop }) {
  made += 1;
  const id = `list${made}-`;
  const name = el("input", { class: "form-control", id: `${id}name`, maxlength: 64, autocomplete: "off", value: list.name, "data-field": "name" });
  const dates = el("input", { class: "form-control", id: `${id}dates`, autocomplete: "off", value: (list.dates ?? []).map(calendarDay).join(", "), "data-field": "dates", placeholder: "17/02/2026, 18/02/2026" });
  const days = WEEKDAYS.map((day) => {
    const box = el("input", { type: "checkbox", class: "form-check-input", value: day, checked: (list.weekdays ?? []).includes(day) });
    box.addEventListener("input", changed);
    return el("label", { class: "weekday" }, box, t(`settings.day_${day}`));
  });
  for (const input of [name, dates]) input.addEventListener("input", changed);
  let index = 0;
  const rates = rateTable({ name: id, base: list.rate ?? null, types: list.types ?? {}, baseTitle: t("settings.rate_base"), path: () => `fees.days[${index}]`, changed, before, knownTypes: KNOWN_TYPES, optional: true });
  const box = el(
    "section", { class: "day-list" },
    el("div", { class: "panel-body fields two" },
      el("div", {}, el("label", { class: "form-label", for: name.id }, t("settings.list_name")), el("div", { class: "input-group" }, name, pictureButton(icon("trash"), t("settings.remove_list"), drop, "outline-danger"))),
      el("div", {}, el("label", { class: "form-label", for: dates.id }, t("settings.list_dates")), dates),
      el("fieldset", { class: "weekdays" }, el("legend", { class: "form-label" }, t("settings.list_weekdays")), days)),
    rates,
  );
  box.readList = (place) => {
    index = place;
    box.dataset.place = `fees.days[${place}]`;
    const { rate, types } = rates.readRates();
    return {
      name: name.value.trim(), weekdays: days.map((label) => label.firstElementChild).filter((day) => day.checked).map((day) => day.value),
      dates: readDates(dates.value), ...(rate ? { rate } : {}), ...(types ? { types } : {}),
    };
  };
  return box;
}
