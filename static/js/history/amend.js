// A correction, a removal and what undoes it: what, and why. What costs money is said before it is done.

import { get, post, put, query, remove } from "../lib/api.js";
import { el, icon, put as putText } from "../lib/dom.js";
import { waysText } from "../lib/fee.js";
import { centralNow } from "../lib/feed.js";
import { moment, money, number, serverTime } from "../lib/format.js";
import { mark, markProblems, unmark } from "../lib/forms.js";
import { me } from "../lib/login.js";
import { doubtful, moneyInput, readMoney } from "../lib/money.js";
import { confirmed, toast } from "../lib/notices.js";
import { USUAL_TYPES, t, typeName } from "../lib/texts.js";
import { METHODS, methodName } from "./words.js";

/** In the place of a way: as it is known, in several ways. */
const SEVERAL = "several";
/** What was paid beyond the fee was given back. */
const GIVEN_BACK = "given_back";

/** The part of a story in which a person changes it; `done` is called afterwards. */
export function amendments(row, done) {
  const path = `/api/parking/history/${encodeURIComponent(row.event_id)}`;
  const place = el("div", { class: "amend" });
  const choose = () => {
    if (row.status === "VOID") {
      const restore = el("button", { type: "button", class: "btn btn-outline-secondary" }, icon("arrow-repeat"), " ", t("history.restore"));
      restore.addEventListener("click", () => open(restoration(row, path, done, choose)));
      return place.replaceChildren(el("div", { class: "buttons" }, restore));
    }
    const correct = el("button", { type: "button", class: "btn btn-outline-secondary" }, icon("pencil"), " ", t("history.correct"));
    const void_ = el("button", { type: "button", class: "btn btn-outline-danger" }, icon("trash"), " ", t("history.void"));
    const alone = row.exit_ms === null || row.anomalies.includes("exit_without_entry");
    const other = alone ? null : el("button", { type: "button", class: "btn btn-outline-secondary" }, icon("box-arrow-right"), " ", t("history.other_car"));
    correct.addEventListener("click", () => open(correction(row, path, done, choose)));
    other?.addEventListener("click", () => open(exitOfAnother(row, path, done, choose)));
    void_.addEventListener("click", () => open(removal(row, path, done, choose)));
    return place.replaceChildren(el("div", { class: "buttons" }, correct, other, void_));
  };
  const open = (form) => {
    place.replaceChildren(form);
    form.querySelector("input, select").focus();
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
    el("h3", { class: "section-title" }, title), ...boxes.filter(Boolean), el("div", { class: "buttons" }, submit, no),
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
      if (rest.length > 0) toast("bad", rest.join("; "), { about: "amendment" });
      else if ((error.problems ?? []).length === 0) toast("bad", KNOWN.includes(error.code) ? t(code) : error.text ?? String(error), { about: "amendment" });
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

/** What was taken for it: where it left twice only what the first exit took. */
const takenFor = (row) => (row.anomalies.includes("double_exit") ? row.fee : row.collected);

function correction(row, path, done, cancel) {
  const plate = field("plate_id", t("history.right_plate"), { value: row.plate_view, maxlength: 20, autocapitalize: "characters" });
  const type = el("select", { class: "form-select", id: "amend-camera_type" });
  const typeBox = el("div", {}, el("label", { class: "form-label", for: "amend-camera_type" }, t("history.type")), type);
  const left = row.exit_ms !== null;
  const fee = field("fee", t("history.right_fee"), { value: number(takenFor(row)) });
  moneyInput(fee.input, number);
  const known = row.paid?.also ? SEVERAL : row.paid?.method ?? "unsaid";
  const wayName = (name) => (name === GIVEN_BACK ? t("history.excess_back", { money: money(row.excess) }) : name === SEVERAL ? waysText(row.paid) : methodName(name));
  const method = el("select", { class: "form-select", id: "amend-paid" });
  // What is not said can be said, not the other way round.
  const ways = [...(row.excess > 0 ? [GIVEN_BACK] : []), ...(known === SEVERAL ? [SEVERAL] : []), ...METHODS].filter((name) => name === known || (name !== "unsaid" && (name !== "free" || takenFor(row) === 0)));
  method.replaceChildren(...ways.map((name) => el("option", { value: name, selected: name === known }, wayName(name))));
  const methodBox = el("div", {}, el("label", { class: "form-label", for: "amend-paid" }, t("history.paid")), method);
  const told = el("p", { class: "notice wait", id: "amend-told", role: "status", hidden: true });
  const toldPaid = el("p", { class: "notice wait", id: "amend-told-paid", role: "status", hidden: true });
  const { reason, values } = why();
  const submit = el("button", { type: "submit", class: "btn btn-primary" }, t("history.save_correction"));

  const tariff = get("/api/parking/fees").then((answer) => answer.fees, () => null);
  const offer = (types) => {
    const chosen = type.value || row.camera_type;
    const all = [...new Set([...USUAL_TYPES, ...types, row.camera_type])];
    type.replaceChildren(...all.map((name) => el("option", { value: name, selected: name === chosen }, typeName(name))));
  };
  offer([]);
  tariff.then((fees) => offer(Object.keys(fees?.types ?? {})));
  const otherWay = () => ({ before: wayName(known), after: wayName(method.value), taken: money(takenFor(row)) });
  method.addEventListener("change", () => {
    toldPaid.hidden = method.value === known;
    putText(toldPaid, t("history.other_method", otherWay()));
  });
  // What the type costs is told before it is saved; what was taken is only changed by who types it.
  let costs = "";
  type.addEventListener("change", async () => {
    told.hidden = true;
    costs = "";
    const fees = await tariff;
    if (fees === null || type.value === row.camera_type || row.anomalies.includes("exit_without_entry")) return;
    const wanted = type.value;
    const times = { entry_time: serverTime(row.entry_ms), exit_time: serverTime(left ? row.exit_ms : centralNow()) };
    const cost = (camera_type) => post("/api/parking/fees/preview", { fees, camera_type, ...times }).then((answer) => answer.fee);
    const found = await Promise.all([cost(row.camera_type), cost(wanted)]).catch(() => null);
    if (!found || type.value !== wanted) return;
    told.hidden = false;
    const said = { before: typeName(row.camera_type), fee_before: money(found[0]), after: typeName(wanted), fee_after: money(found[1]), taken: money(takenFor(row)) };
    putText(told, t(left ? "history.type_costs_left" : "history.type_costs_inside", said));
    costs = t(left ? "history.type_saved_left" : "history.type_saved_inside", said);
  });

  return form(t("history.correct"), [plate.box, typeBox, told, left ? fee.box : null, left ? methodBox : null, toldPaid, reason.box], submit, cancel, async () => {
    const said = values();
    const [typed, amount] = [plate.input.value.trim(), left ? readMoney(fee.input.value) : null];
    if (isMissing(plate.input, typed, t("history.plate_missing"))) return;
    if (left && isMissing(fee.input, amount ?? "", t("common.no_amount"))) return;
    if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
    const taken = takenFor(row);
    const change = {
      plate_id: typed === row.plate_view ? undefined : typed,
      camera_type: type.value === row.camera_type ? undefined : type.value,
      fee: left && amount !== taken ? amount : undefined,
      excess_given_back: left && method.value === GIVEN_BACK ? true : undefined,
      paid: left && ![known, GIVEN_BACK].includes(method.value) ? method.value : undefined,
    };
    if (Object.values(change).every((value) => value === undefined)) return toast("wait", t("history.error_unchanged"));
    const fees = { before: money(taken), after: money(amount) };
    if (change.fee !== undefined && doubtful(amount, taken)) {
      const yes = await confirmed({ title: t("history.fee_question", fees), text: t("history.fee_meaning"), yes: t("history.save_correction") });
      if (!yes) return;
    }
    const answer = await put(path, { ...change, ...said });
    const parts = [
      change.plate_id && t("history.corrected", { plate: typed }),
      change.camera_type && t("history.corrected_type", { type: typeName(type.value) }),
      change.camera_type && costs,
      change.fee !== undefined && t("history.corrected_fee", fees),
      (change.paid || change.excess_given_back) && t("history.corrected_method", { ...otherWay(), taken: money(amount) }),
    ].filter(Boolean);
    const superseded = answer.status === "SUPERSEDED" && row.status !== "SUPERSEDED";
    toast(superseded ? "wait" : "good", superseded ? t("history.corrected_superseded", { plate: typed }) : parts.join(" "), { about: "amendment" });
    await done();
  });
}

/** The exit was that of another car, which was inside as well. */
function exitOfAnother(row, path, done, cancel) {
  const plate = field("exit_plate_id", t("history.other_plate"), { maxlength: 20, autocapitalize: "characters" }, t("history.other_meaning", { plate: row.plate_view }));
  const { reason, values } = why();
  const submit = el("button", { type: "submit", class: "btn btn-primary" }, t("history.save_correction"));
  return form(t("history.other_car"), [plate.box, reason.box], submit, cancel, async () => {
    const said = values();
    const typed = plate.input.value.trim();
    if (isMissing(plate.input, typed, t("history.plate_missing"))) return;
    if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
    await put(path, { exit_plate_id: typed, ...said });
    toast("good", t("history.other_saved", { plate: typed, inside: row.plate_view }), { about: "amendment" });
    await done();
  });
}

/** An opening for a car that could not be read, and the way to say which car it was; what is typed stays while others change. */
export function showOpening(item, opening, gate, done) {
  if (item.querySelector("form")) return;
  const way = t(opening.direction === "EXIT" ? "history.exit" : "history.entry");
  const line = el("p", {}, el("span", { class: "time" }, moment(opening.time_ms)), " ", el("span", {}, way), " ", el("span", {}, gate), " ", el("span", {}, opening.fee ? money(opening.fee) : ""));
  const say = el("button", { type: "button", class: "btn btn-outline-secondary" }, icon("pencil"), " ", t("history.opening_plate"));
  say.addEventListener("click", () => {
    const plate = field("plate_id", t("history.right_plate"), { maxlength: 20, autocapitalize: "characters" });
    const { reason, values } = why();
    const submit = el("button", { type: "submit", class: "btn btn-primary" }, t("history.save_correction"));
    const close = () => {
      item.replaceChildren();
      showOpening(item, opening, gate, done);
    };
    item.append(form(t("history.opening_plate"), [plate.box, reason.box], submit, close, async () => {
      const said = values();
      const typed = plate.input.value.trim();
      if (isMissing(plate.input, typed, t("history.plate_missing"))) return;
      if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
      await put(`/api/parking/history/${encodeURIComponent(opening.fact)}`, { plate_id: typed, ...said });
      toast("good", t("history.opening_saved", { plate: typed }), { about: "amendment" });
      close();
      await done();
    }));
    say.remove();
    plate.input.focus();
  });
  item.replaceChildren(line, say);
}

/** Stays of one plate that are offered at most. */
const MOST_STAYS = 8;

/** What a person says of money that came in: which stay it is for, or that nothing is left to do about it. */
export function showAssigning(item, payment, done) {
  if (item.querySelector("form")) return;
  const how = el("select", { class: "form-select", id: "amend-how" }, el("option", { value: "stay" }, t("history.payment_for_stay")), el("option", { value: "done" }, t("history.payment_done")));
  const plate = field("plate_id", t("history.payment_plate"), { maxlength: 20, autocapitalize: "characters", value: payment.plate_view ?? "" });
  const stay = el("select", { class: "form-select", id: "amend-stay" });
  const stayBox = el("div", { hidden: true }, el("label", { class: "form-label", for: "amend-stay" }, t("history.payment_stay")), stay);
  const { reason, values } = why();
  const submit = el("button", { type: "submit", class: "btn btn-primary" }, t("history.payment_save"));
  let asked = 0;
  const offer = async () => {
    const question = ++asked;
    const search = plate.input.value.trim();
    stay.replaceChildren();
    const found = search && how.value === "stay" ? (await get(query("/api/parking/history", { search, limit: MOST_STAYS })).catch(() => ({ history: [] }))).history : [];
    if (question !== asked) return;
    stay.replaceChildren(...found.map((row) => el("option", { value: row.event_id }, [row.plate_view, moment(row.entry_ms), row.exit_ms === null ? t("common.stay_IN") : moment(row.exit_ms), row.exit_ms === null ? "" : money(row.collected)].filter(Boolean).join(" · "))));
    stayBox.hidden = found.length === 0;
  };
  plate.input.addEventListener("change", offer);
  how.addEventListener("change", () => {
    plate.box.hidden = how.value === "done";
    offer();
  });
  const close = () => item.querySelector("form")?.remove();
  const send = async () => {
    const said = values();
    const isDone = how.value === "done";
    if (!isDone && stay.value === "") await offer();
    if (!isDone && isMissing(plate.input, stay.value, t("history.payment_no_stay"))) return;
    if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
    await post(`/api/payments/${encodeURIComponent(payment.fact)}/assign`, isDone ? { done: true, ...said } : { stay: stay.value, ...said });
    toast("good", t("history.payment_saved", { reference: payment.reference }), { about: "amendment" });
    close();
    await done();
  };
  const howBox = el("div", {}, el("label", { class: "form-label", for: "amend-how" }, t("history.payment_how")), how);
  item.append(form(t("history.payment_handle"), [howBox, plate.box, stayBox, reason.box], submit, close, send));
  plate.input.focus();
  return offer();
}

/** A removal is undone. */
function restoration(row, path, done, cancel) {
  const { reason, values } = why();
  const submit = el("button", { type: "submit", class: "btn btn-primary" }, t("history.restore"));
  const meaning = el("p", { class: "form-text" }, t("history.restore_meaning"));
  return form(t("history.restore"), [meaning, reason.box], submit, cancel, async () => {
    const said = values();
    if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
    await put(path, { void: false, ...said });
    toast("good", t("history.restored", { plate: row.plate_view }), { about: "amendment" });
    await done();
  });
}

function removal(row, path, done, cancel) {
  const { reason, values } = why();
  const submit = el("button", { type: "submit", class: "btn btn-danger" }, t("history.void"));
  const meaning = el("p", { class: "form-text" }, t("history.void_meaning"));
  return form(t("history.void_question", { plate: row.plate_view }), [meaning, reason.box], submit, cancel, async () => {
    const said = values();
    if (isMissing(reason.input, said.reason, t("history.reason_missing"))) return;
    await remove(path, said);
    toast("good", t("history.voided", { plate: row.plate_view }), { about: "amendment" });
    await done();
  });
}
