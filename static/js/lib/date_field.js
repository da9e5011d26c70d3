// Fields for days and moments, which are typed and shown as lib/dates.js has it. The browser's own are only there to pick from.

import { dateText, readDate } from "./dates.js";
import { el, icon } from "./dom.js";
import { mark } from "./forms.js";
import { t } from "./texts.js";

const isMoment = (input) => input.dataset.date === "moment";

/** What stands in a field as the server takes it; of a day nobody can read nothing. */
export const valueIn = (input) => (input.dataset.date ? readDate(input.value, isMoment(input)) ?? "" : input.value.trim());

/** Shows in a field what the server said. */
export function putIn(input, value) {
  input.value = input.dataset.date ? dateText(value) : value;
}

/** Says of each field for a day that holds none, at the field; whether there is one. */
export function unreadDates(root) {
  const unread = [...root.querySelectorAll("[data-date]")].filter((input) => !input.closest("[hidden]") && readDate(input.value, isMoment(input)) === null);
  for (const input of unread) mark(input, t("common.no_date"));
  unread[0]?.focus();
  return unread.length > 0;
}

/**
 * Makes fields for days (`data-date="day"`) and moments (`"moment"`) of what is in `root`: what is typed is shown as it was read, and beside it
 * stands a calendar to pick from. A change to what is no day is said at the field and nobody else hears of it: to be called before others listen.
 */
export function dateInputs(root = document) {
  for (const input of root.querySelectorAll("[data-date]")) {
    const picker = el("input", { type: isMoment(input) ? "datetime-local" : "date", tabindex: "-1", "aria-hidden": "true", title: t("common.pick_date") });
    const field = el("div", { class: "input-group date-field" });
    field.hidden = input.hidden;
    input.hidden = false;
    input.replaceWith(field);
    field.append(input, el("span", { class: "input-group-text picker" }, icon("calendar3"), picker));
    input.placeholder = t(isMoment(input) ? "common.moment_hint" : "common.date_hint");
    input.addEventListener("change", (event) => {
      const read = readDate(input.value, isMoment(input));
      mark(input, read === null ? t("common.no_date") : null);
      if (read === null) event.stopImmediatePropagation();
      else input.value = dateText(read);
    });
    picker.addEventListener("pointerdown", () => { picker.value = valueIn(input); });
    for (const name of ["input", "change"]) {
      picker.addEventListener(name, (event) => {
        event.stopPropagation();
        input.value = dateText(picker.value);
        input.dispatchEvent(new Event(name, { bubbles: true }));
      });
    }
  }
}
