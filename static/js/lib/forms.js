// Inputs, and what is wrong with them.

import { el, put } from "./dom.js";
import { problemText } from "./texts.js";

/** What was typed; a number where one is meant and it is one, so that the server can say what is wrong with the rest. */
export function valueOf(input) {
  const text = input.value.trim();
  if (input.dataset.kind === "number") return /^-?\d+$/.test(text) ? Number(text) : text;
  return text === "" && input.dataset.empty === "null" ? null : text;
}

/** Shows a value, but never under the fingers of who is typing there. */
export function show(input, value) {
  const text = value === null || value === undefined ? "" : String(value);
  if (document.activeElement !== input && input.value !== text) input.value = text;
}

/** Says what is wrong with a field, at the field; `null`: nothing any more. */
export function mark(input, message) {
  const id = `${input.id}-problem`;
  let note = document.getElementById(id);
  input.classList.toggle("is-invalid", message !== null);
  const described = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((name) => name && name !== id);
  if (message === null) {
    input.removeAttribute("aria-invalid");
    note?.remove();
  } else {
    note ??= el("div", { class: "invalid-feedback", id });
    if (!note.isConnected) (input.closest(".input-group") ?? input).after(note);
    put(note, message);
    input.setAttribute("aria-invalid", "true");
    described.push(id);
  }
  if (described.length > 0) input.setAttribute("aria-describedby", described.join(" "));
  else input.removeAttribute("aria-describedby");
}

/** Takes all marks away. */
export function unmark(root) {
  for (const input of root.querySelectorAll(".is-invalid")) mark(input, null);
}

/**
 * Puts the problems of an answer at their fields; `inputOf(field)` finds them. Gives the sentences of those that have none, and
 * brings the first wrong field into view.
 */
export function markProblems(problems, inputOf) {
  const rest = [];
  let first = null;
  for (const problem of problems) {
    const input = inputOf(problem.field);
    if (input) {
      mark(input, problemText(problem));
      first ??= input;
    } else {
      rest.push(`${problem.field}: ${problemText(problem)}`);
    }
  }
  first?.scrollIntoView({ block: "center" });
  first?.focus({ preventScroll: true });
  return rest;
}

/** A button with a picture only; its words for who cannot see it, and as a hint. */
export function pictureButton(picture, label, onclick, kind = "outline-secondary") {
  return el("button", { type: "button", class: `btn btn-${kind} btn-sm`, "aria-label": label, title: label, onclick }, picture);
}

/** A cell with an input in it. `head`: what the column is called, for narrow screens and screen readers. */
export function inputCell(head, input) {
  input.setAttribute("aria-label", head);
  return el("td", { "data-head": head }, input);
}
