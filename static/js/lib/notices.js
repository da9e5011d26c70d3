// What people are told beside the page: lasting notices at the top, and short messages that go by themselves.

import { at, el, icon, keyed, put } from "./dom.js";
import { t } from "./texts.js";

/** A message stays at least this long, longer with its length, and as long as it is pointed at. What matters stands in the page too. */
const SHORTEST_MS = { good: 4000, wait: 8000, bad: 15_000 };
const READING_MS_PER_CHARACTER = 60;
const MOST = 4;

const ICONS = { good: () => icon("check-circle"), bad: () => icon("x-octagon"), wait: () => icon("info-circle") };

/** A short message: `kind` is `good`, `bad` or `wait`. `action`: `{text, run}` of a button in it. */
export function toast(kind, text, action = null) {
  const close = el("button", { type: "button", class: "btn-close", "aria-label": t("common.close") });
  const button = action && el("button", { type: "button", class: "btn btn-outline-secondary btn-sm" }, action.text);
  const element = el("div", { class: `message ${kind}` }, ICONS[kind](), el("span", {}, text), button, close);
  const list = at("toasts");
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

/** What holds now and should be known on every page: `[{key, kind, text, href, link}]`, the worst first; the last two: where to go. */
export function showNotices(notices) {
  const known = JSON.stringify(notices);
  if (known === JSON.stringify(ours)) return;
  ours = notices;
  keyed(
    at("notices"), notices, (notice) => notice.key,
    () => el("div", { class: "notice" }, icon("exclamation-triangle"), el("span")),
    (element, notice) => {
      element.className = `notice ${notice.kind}`;
      const place = notice.href ? [" ", el("a", { href: notice.href }, notice.link)] : [];
      element.querySelector("span").replaceChildren(notice.text, ...place);
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
