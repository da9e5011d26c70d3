// What people are told beside the page: lasting notices at the top, and short messages that go by themselves.

import { at, el, icon, keyed, put } from "./dom.js";
import { moment } from "./format.js";
import { t } from "./texts.js";

/** A message stays at least this long, longer with its length, and as long as it is pointed at. What matters stands in the page too. */
const SHORTEST_MS = { good: 4000, wait: 8000, bad: 15_000 };
const READING_MS_PER_CHARACTER = 60;
const MOST = 4;

const ICONS = { good: () => icon("check-circle"), bad: () => icon("x-octagon"), wait: () => icon("info-circle") };

/**
 * A short message: `kind` is `good`, `bad` or `wait`. `action`: `{text, run}` of a button in it. `about`: what was attempted; how that went
 * before no longer counts, so that a failure does not stand beside the success that came after it.
 */
export function toast(kind, text, { action = null, about = null } = {}) {
  const close = el("button", { type: "button", class: "btn-close", "aria-label": t("common.close") });
  const button = action && el("button", { type: "button", class: "btn btn-outline-secondary btn-sm" }, action.text);
  const element = el("div", { class: `message ${kind}` }, ICONS[kind](), el("span", {}, text), button, close);
  const list = at("toasts");
  if (about) for (const failure of list.querySelectorAll(".bad")) if (failure.dataset.about === about) failure.remove();
  if (about) element.dataset.about = about;
  let timer;
  const leave = () => { clearTimeout(timer); element.remove(); };
  const wait = () => {
    timer = setTimeout(leave, SHORTEST_MS[kind] + text.length * READING_MS_PER_CHARACTER);
  };
  close.addEventListener("click", leave);
  button?.addEventListener("click", () => { leave(); action.run(); });
  element.addEventListener("pointerenter", () => clearTimeout(timer));
  element.addEventListener("pointerleave", wait);
  list.append(element);
  while (list.children.length > MOST) list.firstElementChild.remove();
  wait();
  return leave;
}

let ours = [];

/**
 * What holds now and needs a hand, on every page: `[{key, kind, text, detail, todo, sinceMs, href}]`, the worst first. One is shown as it
 * is, save at a gate; of more there is one line that opens, save where the page has room for all (`data-alarms="open"` of its body).
 */
export function showNotices(notices) {
  const known = JSON.stringify(notices);
  if (known === JSON.stringify(ours)) return;
  ours = notices;
  const place = at("notices");
  place.hidden = notices.length === 0;
  if (!place.firstElementChild) place.append(el("details", { class: "alarms" }, el("summary", {}, icon("exclamation-triangle"), el("span"), el("span", { class: "worst" })), el("ul")));
  const details = place.firstElementChild;
  const worst = notices.some((notice) => notice.kind === "bad") ? "bad" : "wait";
  // At a gate the car has the room.
  const several = notices.length > 1 || document.body.dataset.page === "gate";
  details.className = `alarms ${worst}${several ? "" : " alone"}`;
  if (!several || document.body.dataset.alarms === "open") details.open = true;
  else if (!details.dataset.asked) details.open = false;
  put(details.querySelector("summary span"), t("common.alarms", { n: notices.length }));
  put(details.querySelector(".worst"), notices[0]?.text ?? "");
  details.querySelector("summary").onclick = () => { details.dataset.asked = "yes"; };
  keyed(
    details.querySelector("ul"), notices, (notice) => notice.key,
    () => el("li"),
    (element, notice) => {
      element.className = notice.kind;
      element.replaceChildren(
        el("strong", {}, notice.text), notice.sinceMs ? el("span", { class: "quiet" }, t("common.since", { time: moment(notice.sinceMs) })) : "",
        el("span", { class: "todo" }, notice.todo ?? "", notice.detail ? el("small", {}, notice.detail) : null), notice.href ? el("a", { class: "btn btn-sm btn-outline-secondary", href: notice.href }, t("common.go_there")) : "",
      );
    },
  );
}

/** Asks before something is done; true: yes. `danger`: the button is red. */
export function confirmed({ title, text, yes, danger = false }) {
  return new Promise((resolve) => {
    const no = el("button", { type: "button", class: "btn btn-outline-secondary" }, t("common.cancel"));
    const go = el("button", { type: "button", class: `btn ${danger ? "btn-danger" : "btn-primary"}` }, yes);
    const heading = el("h2", { class: "h5", id: "question-title" }, title);
    const dialog = el(
      "dialog", { class: "question", "aria-labelledby": "question-title" },
      heading, text ? el("p", {}, text) : null, el("div", { class: "answers" }, no, go),
    );
    no.addEventListener("click", () => dialog.close("no"));
    go.addEventListener("click", () => dialog.close("yes"));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
    (danger ? no : go).focus();
  });
}
