// The shift at this gate: who has it, and handing it over in three presses: hand over, close with the cash counted, take over. What
// is counted or begun with is typed or taken over by a press of its own, never there already: an amount nobody looked at is no amount.

import { get, post, query } from "../lib/api.js";
import { at, el, put } from "../lib/dom.js";
import { gateName, state, watch } from "../lib/feed.js";
import { moment, money, number } from "../lib/format.js";
import { mark, markProblems } from "../lib/forms.js";
import { logIn, loginProblem, me } from "../lib/login.js";
import { doubtful, moneyInput, readMoney } from "../lib/money.js";
import { toast } from "../lib/notices.js";
import { t } from "../lib/texts.js";

/** A drawer that holds less, though more should be in it, was more likely mistyped: "600" for 600.000. */
const FEW_VND = 1000;
/** What was taken is asked for again after so long: the strip says what it was a moment ago. */
const LOOK_AGAIN_MS = 20_000;

let gate = () => "";
/** The sheet of the open shift; null: there is none; undefined: not known yet. */
let open;
let dialog = null;

/** Keeps the strip of the gate that `gateOf()` names. */
export function followShift(gateOf) {
  gate = gateOf;
  at("gate").addEventListener("change", look);
  at("shift-press").addEventListener("click", () => (open ? closing(open) : opening()));
  document.addEventListener("logged-in", look);
  watch(["central"], look);
  watch(["events"], heard);
  setInterval(look, LOOK_AGAIN_MS);
}

let lastHeard = "";

/** Somebody opened or closed a shift here, on whatever screen. */
function heard({ events }) {
  const last = events.find((line) => line.kind.startsWith("shift_") && line.edge === gate());
  if (!last || last.id === lastHeard) return;
  lastHeard = last.id;
  look();
}

async function look() {
  try {
    if (!state.central) return;
    [open = null] = (await get(query("/api/shifts", { open: 1, gate: `${state.central.id}/${gate()}` }))).shifts;
  } catch {
    // What stands there is as old as all else on a page that hears nothing, which says so.
    return;
  }
  at("shift").hidden = false;
  put("shift-who", open ? t("shifts.running", { person: open.person, from: moment(open.from_ms) }) : t("shifts.none"));
  put("shift-sum", open ? t("shifts.running_sum", { money: money(open.figures.revenue), n: number(open.figures.exits) }) : "");
  const account = open ? await me().catch(() => null) : null;
  const isOthers = open && account?.kind === "person" && account.name !== open.person;
  at("shift-warning").hidden = !isOthers;
  put("shift-warning", isOthers ? t("shifts.of_nobody", { person: open.person, name: account.name }) : "");
  at("shift-sheet").hidden = !open;
  if (open) at("shift-sheet").href = query("/shifts", { id: open.id });
  put("shift-press", t(open ? "shifts.hand_over" : "shifts.start"));
}

function show(title, ...content) {
  dialog?.remove();
  dialog = el("dialog", { class: "question shift-dialog", "aria-labelledby": "shift-dialog-title" }, el("h2", { class: "h4", id: "shift-dialog-title" }, title), content);
  const shown = dialog;
  shown.addEventListener("close", () => { shown.remove(); look(); });
  document.body.append(shown);
  shown.showModal();
}

const field = (id, label, input, hint) => el("div", {}, el("label", { class: "form-label", for: id }, label), input, hint ? el("p", { class: "form-text" }, hint) : null);
const cashField = (id, label, hint) => {
  const input = moneyInput(el("input", { class: "form-control form-control-lg", id, autocomplete: "off", required: true }), number);
  return [input, field(id, label, input, hint)];
};

/** The amount in an input, or null and said at it. */
function amountIn(input) {
  const amount = readMoney(input.value);
  mark(input, amount === null ? t("shifts.not_money") : null);
  if (amount === null) input.focus();
  return amount;
}

/** Runs what a form asks for; its button rests meanwhile, and what is wrong is said at the form. */
function form(button, problem, send, ...content) {
  const made = el("form", { class: "login-form", novalidate: true }, content, problem);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    put(problem, "");
    try {
      await send();
    } catch (error) {
      if (error.code === "shift_closed") look();
      const left = markProblems(error.problems ?? [], (name) => made.querySelector(`#shift-${name}`));
      put(problem, error.problems?.length > 0 ? left.join("; ") : loginProblem(error));
    } finally {
      button.disabled = false;
    }
  });
  return made;
}

const buttons = (submit, text = t("common.cancel")) => {
  const cancel = el("button", { type: "button", class: "btn btn-outline-secondary btn-lg" }, text);
  cancel.addEventListener("click", () => dialog.close());
  return el("div", { class: "answers" }, cancel, submit);
};
const problemLine = () => el("p", { class: "login-problem", role: "alert" });

async function closing(shift) {
  const account = await me().catch(() => null);
  const [cash, cashPart] = cashField("shift-counted_cash", t("shifts.counted_cash"), t("shifts.counted_hint"));
  const note = el("input", { class: "form-control", id: "shift-note", maxlength: 500, autocomplete: "off" });
  const submit = el("button", { type: "submit", class: "btn btn-primary btn-lg" }, t("shifts.close"));
  const question = el("p", { class: "notice wait", role: "alert", hidden: true });
  let asked = null;
  cash.addEventListener("input", () => {
    asked = null;
    question.hidden = true;
    put(submit, t("shifts.close"));
  });
  const address = `/api/shifts/${encodeURIComponent(shift.id)}`;
  const send = async () => {
    const counted = amountIn(cash);
    if (counted === null) return;
    const { shift: now } = await get(address);
    // A closed sheet stays as it is, so a slip is asked about before. What should be there is not said: it is to be counted.
    if (counted !== asked && isFar(counted, now.expected_cash)) {
      asked = counted;
      put(question, t("shifts.counted_far", { money: money(counted) }));
      question.hidden = false;
      put(submit, t("shifts.close_sure"));
      return;
    }
    const { shift: sheet } = await post(`${address}/close`, { counted_cash: counted, note: note.value.trim() || undefined });
    takeOver(sheet);
  };
  const place = gateName(`${shift.central}/${shift.edge_id}`);
  const isOthers = account?.kind === "person" && account.name !== shift.person;
  const whose = account?.may_amend ? "shifts.closing_other" : "shifts.closing_other_may_not";
  show(
    t("shifts.closing_of", { person: shift.person, gate: place }),
    isOthers ? el("p", { class: "notice wait" }, t(whose, { person: shift.person })) : null,
    form(submit, problemLine(), send, cashPart, field("shift-note", t("shifts.note"), note), question, buttons(submit)),
  );
  cash.focus();
}

const isFar = (counted, expected) => doubtful(counted, expected) !== null || (counted < FEW_VND && counted < expected);

/** The sheet in short, and who takes over. */
function takeOver(sheet) {
  const facts = [[t("shifts.expected"), money(sheet.expected_cash)], [t("shifts.counted"), money(sheet.counted_cash)], [t("shifts.difference"), differenceText(sheet.difference)]];
  opening([
    el("p", { class: "state good" }, t("shifts.closed_now", { person: sheet.person })),
    el("dl", { class: "shift-facts" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    el("p", {}, el("a", { href: query("/shifts", { id: sheet.id }) }, t("shifts.the_sheet"))),
  ], "other", sheet.counted_cash);
}

/** What a drawer has too much or too little. */
export const differenceText = (amount) => (amount < 0 ? t("shifts.short", { money: money(-amount) }) : amount > 0 ? t("shifts.over", { money: money(amount) }) : t("shifts.exact"));

/** Who takes over the gate: who is logged in already, or another person, who logs in here. `counted`: what the one before left. */
async function opening(before = [], who = "me", counted = null) {
  const account = await me().catch(() => null);
  const place = gateName(`${state.central.id}/${gate()}`);
  const own = account?.kind === "person" ? account.name : null;
  const [cash, cashPart] = cashField("shift-opening_cash", t("shifts.opening_cash"), t("shifts.opening_cash_hint"));
  if (counted !== null) {
    const use = el("button", { type: "button", class: "btn btn-outline-secondary", id: "shift-as-counted" }, t("shifts.as_counted", { money: money(counted) }));
    use.addEventListener("click", () => {
      cash.value = number(counted);
      mark(cash, null);
    });
    cashPart.append(use);
  }
  const name = el("input", { class: "form-control", id: "login-name", autocomplete: "username" });
  const password = el("input", { class: "form-control", id: "login-password", type: "password", autocomplete: "current-password" });
  const login = el("div", { class: "login-form" }, field("login-name", t("common.login_name"), name), field("login-password", t("common.login_password"), password));
  const asMe = el("input", { type: "radio", name: "shift-who", id: "shift-me", checked: who === "me" });
  const asOther = el("input", { type: "radio", name: "shift-who", id: "shift-other", checked: who !== "me" });
  const choice = own ? el("fieldset", {}, el("legend", { class: "h6" }, t("shifts.who")), el("label", {}, asMe, " ", t("shifts.as_me", { name: own })), " ", el("label", {}, asOther, " ", t("shifts.other_person"))) : null;
  const isOther = () => !own || asOther.checked;
  const showLogin = () => { login.hidden = !isOther(); };
  choice?.addEventListener("change", showLogin);
  showLogin();
  const submit = el("button", { type: "submit", class: "btn btn-primary btn-lg" }, t("shifts.take_over"));
  const send = async () => {
    const begun = amountIn(cash);
    if (begun === null) return;
    if (isOther()) await logIn(name.value, password.value);
    const { shift } = await post("/api/shifts", { edge_id: gate(), opening_cash: begun });
    dialog.close();
    toast("good", t("shifts.opened_now", { person: shift.person }));
  };
  show(t("shifts.take_over_at", { gate: place }), before, form(submit, problemLine(), send, choice, login, cashPart, buttons(submit, t(before.length > 0 ? "shifts.done" : "common.cancel"))));
  (isOther() ? name : cash).focus();
}
