// What is set is read first: the fields of a part (`data-editable`) take something once a person asks for it.

import { el, icon, put } from "../lib/dom.js";
import { t } from "../lib/texts.js";

const parts = () => document.querySelectorAll("[data-editable]");
/** What has a button of its own to save is one set of fields. */
const setOf = (part) => part.querySelector("fieldset[data-changes]");
/** A form within is there because somebody asked for it. */
const fields = (part) => [...(setOf(part) ?? part).querySelectorAll("input, select")].filter((field) => setOf(part) || !field.closest("form"));

/** Puts the button that asks into every part; none can be written in. */
export function startReading() {
  for (const part of parts()) {
    const button = el("button", { type: "button", class: "btn btn-outline-secondary btn-sm edit-part" }, icon("pencil"), " ", t("settings.edit"));
    button.addEventListener("click", () => {
      write(part);
      fields(part)[0]?.focus();
    });
    part.querySelector(".panel-head").append(button);
    part.classList.add("reading");
  }
  lock();
}

/** From now on this part takes something. */
export function write(part) {
  part.classList.remove("reading");
  lock();
}

/** All parts that are saved together are for reading again; or that one. */
export function read(one = null) {
  for (const part of one ? [one] : parts()) if (one || !setOf(part)) part.classList.add("reading");
  lock();
}

/** Rows come and go: their fields are as the part they are in. */
export function lock() {
  for (const part of parts()) {
    const reading = part.classList.contains("reading");
    part.querySelector(".edit-part").hidden = !reading || fields(part).length === 0;
    if (setOf(part)) {
      setOf(part).disabled = reading;
      // An example of what may be typed is nothing that is set.
      for (const field of setOf(part).querySelectorAll("[data-placeholder], [data-date]")) {
        field.dataset.example ??= field.placeholder;
        field.placeholder = reading ? "–" : field.dataset.example;
      }
      // The unit stands beside the amount.
      for (const field of setOf(part).querySelectorAll(".input-group > input")) field.style.width = reading ? `calc(${Math.max(field.value.length, 1)}ch + 2px)` : "";
      continue;
    }
    for (const field of fields(part)) {
      // A list cannot be read only.
      if (field.tagName === "SELECT") field.disabled = reading;
      else {
        field.readOnly = reading;
        // An input cuts what is long. Beside it stands the whole, over as many lines as it takes; of what is empty that it is not set.
        if (!field.nextElementSibling?.classList.contains("whole")) field.after(el("span", { class: "whole", "aria-hidden": "true" }));
        put(field.nextElementSibling, field.value || "–");
      }
    }
  }
}
