// A correction and a removal: what, and why. Each is said once more in plain words before it is done.

import { put, remove } from "../lib/api.js";
import { el, icon } from "../lib/dom.js";
import { confirmed, toast } from "../lib/notices.js";
import { me } from "../lib/login.js";
import { t } from "../lib/texts.js";
import { mark, markProblems, unmark } from "../lib/forms.js";

/** The part of a story in which a person changes it; `done` is called afterwards. */
export function amendments(row, done) {
  const path = `/api/parking/history/${encodeURIComponent(row.event_id)}`;
  const place = el("div", { class: "amend" });
  const choose = () => {
    const correct = el("button", { type: "button", class: "btn btn-outline-secondary" }, icon("pencil"), " ", t("history.correct"));
    const void_ = el("button", { type: "button", class: "btn btn-outline-danger" }, icon("trash"), " ", t("history.void"));
    correct.addEventListener("click", () => open(correction(row, path, done, choose)));
    void_.addEventListener("click", () => open(removal(row, path, done, choose)));
    place.replaceChildren(el("div", { class: "buttons" }, correct, void_));
  };
  const open = (form) => {
    place.replaceChildren(form);
    form.querySelector("input").focus();
    form.scrollIntoView({ block: "nearest" });
  };
  // Who may not is told so before anything is typed; who is nobody yet is asked to log in.
  me().then((account) => {
    if (account.may_amend || (account.kind === "nobody" && account.security.admin === "password")) choose();
    else place.replaceChildren(el("p", { class: "quiet" }, t(account.security.admin === "open" ? "history.amend_here" : "history.amend_who")));
  }, choose);
  return place;
}

function field(id, label, properties = {}, hint = null) {
  const input = el("input", { class: "form-control", id: `amend-${id}`, autocomplete: "off", ...properties });
  if (hint) input.setAttribute("aria-describedby", `amend-${id}-hint`);
  const box = el(
    "div", {}, el("label", { class: "form-label", for: `amend-${id}` }, label), input,
    hint ? el("div", { class: "form-text", id: `amend-${id}-hint` }, hint) : null,
  );
  return { input, box };
}

/** The reason, which every change has; who it is, is known by the login. */
function why() {
  const reason = field("reason", t("history.reason"), { maxlength: 500 }, t("history.reason_hint"));
  return { reason, values: () => ({ reason: reason.input.value.trim() }) };
}

function form(title, boxes, submit, cancel, send) {
  const no = el("button", { type: "button", class: "btn btn-outline-secondary" }, t("common.cancel"));
  no.addEventListener("click", cancel);
  const made = el(
    "form", { novalidate: true, class: "panel-body", "aria-label": title },
    el("h3", { class: "section-title" }, title), ...boxes, el("div", { class: "buttons" }, submit, no),
  );
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    unmark(made);
    submit.disabled = true;
    try {
      await send();
    } catch (error) {
      const code = `history.error_${error.code}`;
      const rest = markProblems(error.problems ?? [], (name) => made.querySelector(`#amend-${name}`));
      if (rest.length > 0) toast("bad", rest.join("; "));
      else if ((error.problems ?? []).length === 0) toast("bad", KNOWN.includes(error.code) ? t(code) : error.text ?? String(error));
    }
    submit.disabled = false;
  });
  return made;
}

/** Refusals with a text of their own. */
const KNOWN = ["unchanged", "already_void", "not_found"];

function isMissing(input, value, message) {
  if (value !== "") return false;
  mark(input, message);
  input.focus();
  return true;
}

function correction(row, path, done, cancel) {
  const plate = field("plate_id", t("history.right_plate"), { value: row.plate_view, maxlength: 20, autocapitalize: "characters" });
  const { reason, values } = why();
  const submit = el("button", { type: "submit", class: "btn btn-primary" }, t("history.save_correction"));
  return form(t("history.correct"), [plate.box, reason.box], submit, cancel, async () => {
    const typed = plate.input.value.trim();
    const said = values();
    if (isMissing(plate.input, typed, t("history.plate_missing"))) return;
    if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
    const answer = await put(path, { plate_id: typed, ...said });
    const superseded = answer.status === "SUPERSEDED" && row.status !== "SUPERSEDED";
    toast(superseded ? "wait" : "good", t(superseded ? "history.corrected_superseded" : "history.corrected", { plate: typed }));
    await done();
  });
}

function removal(row, path, done, cancel) {
  const { reason, values } = why();
  const submit = el("button", { type: "submit", class: "btn btn-danger" }, t("history.void"));
  return form(t("history.void"), [reason.box], submit, cancel, async () => {
    const said = values();
    if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
    const yes = await confirmed({
      title: t("history.void_question", { plate: row.plate_view }),
      text: t("history.void_meaning"),
      yes: t("history.void"),
      danger: true,
    });
    if (!yes) return;
    await remove(path, said);
    toast("good", t("history.voided", { plate: row.plate_view }));
    await done();
  });
}
