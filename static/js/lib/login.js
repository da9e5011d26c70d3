// Logging in, on the page /login and in a dialog wherever a call asks for it. Who is logged in: `me()`.

import { ApiError, get, onLoginNeeded, post } from "./api.js";
import { el } from "./dom.js";
import { t } from "./texts.js";

let known = null;

/** `{name, role, kind, needs_first_password, may_amend, may_administer, security}`; asked once per page, and again where no answer came. */
export function me() {
  if (known === null) {
    known = get("/api/access");
    known.catch(() => { known = null; });
  }
  return known;
}

/** The same, asked anew: what was known may hold no more. */
export function meAnew() {
  known = null;
  return me();
}

/** People type accents as their keyboard makes them; a password is compared byte by byte. */
export const plain = (password) => password.normalize("NFC");

/** Logs somebody in, in place of who was; the page hears of it. */
export async function logIn(name, password) {
  const entered = await post("/api/access/login", { name, password: plain(password) });
  known = null;
  document.dispatchEvent(new CustomEvent("logged-in"));
  return entered;
}

/** A form that logs in; `done({name, role})` is called once it did. */
export function loginForm(done) {
  const name = el("input", { class: "form-control", id: "login-name", autocomplete: "username", required: true });
  const password = el("input", { class: "form-control", id: "login-password", type: "password", autocomplete: "current-password", required: true });
  const problem = el("p", { class: "login-problem", role: "alert" });
  const submit = el("button", { type: "submit", class: "btn btn-primary" }, t("common.login"));
  const send = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = "";
    try {
      done(await post("/api/access/login", { name: name.value, password: plain(password.value) }));
    } catch (error) {
      problem.textContent = loginProblem(error);
      password.select();
    } finally {
      submit.disabled = false;
    }
  };
  return el(
    "form", { class: "login-form", novalidate: true, onsubmit: send },
    el("div", {}, el("label", { class: "form-label", for: "login-name" }, t("common.login_name")), name),
    el("div", {}, el("label", { class: "form-label", for: "login-password" }, t("common.login_password")), password),
    problem, el("div", { class: "answers" }, submit),
  );
}

/** What went wrong with a login, for people; how long to wait where that is asked. */
export function loginProblem(error) {
  if (!(error instanceof ApiError)) throw error;
  return error.retryAfterS > 1 ? t("common.login_wait", { n: error.retryAfterS }) : error.text;
}

let asking = null;

/** Asks to log in, in a dialog over the page; true: logged in. What was typed on the page stays. */
function askLogin() {
  asking ??= new Promise((resolve) => {
    const cancel = el("button", { type: "button", class: "btn btn-outline-secondary" }, t("common.cancel"));
    const dialog = el("dialog", { class: "question", "aria-labelledby": "login-title" });
    const form = loginForm(() => dialog.close("in"));
    form.querySelector(".answers").prepend(cancel);
    cancel.addEventListener("click", () => dialog.close("out"));
    dialog.append(
      el("h2", { class: "h5", id: "login-title" }, t("common.login_needed")),
      el("p", {}, t("common.login_needed_text"), " ", el("a", { href: "/login" }, t("common.login_more"))), form,
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      asking = null;
      known = null;
      if (dialog.returnValue === "in") document.dispatchEvent(new CustomEvent("logged-in"));
      resolve(dialog.returnValue === "in");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

onLoginNeeded(askLogin);
