// Opening against what is known: what it means is told, why is asked, and at an exit what was taken; nothing is filled in before.

import { el, put } from "../lib/dom.js";
import { money, number, siteTime } from "../lib/format.js";
import { mark } from "../lib/forms.js";
import { MOST_VND, amountProblem, doubtful, moneyInput, readMoney } from "../lib/money.js";
import { t, typeName } from "../lib/texts.js";

/** Why a person opens all the same; the text of the last is typed. */
const REASONS = {
  already_inside: ["left_unseen", "misread_inside", "staff", "other"],
  not_inside: ["entry_unseen", "misread_entry", "staff", "other"],
  long_stay: ["agreed", "staff", "other"],
};

/**
 * `{reason, fee?, method?, type?}`: open all the same; null: do not. `code`: what is forced, of the car with this `plate`. `methods`: how it may be paid, the first
 * unless another is chosen; `came`: what a bank says came in, `due`: what is still to be taken; `types`: of what vehicle it may be, `type` unless another is chosen, "": nobody says.
 */
export function askForce(code, direction, { plate, info, due, came, methods, types, type }) {
  return new Promise((resolve) => {
    const takesFee = direction === "EXIT";
    const choices = REASONS[code].map((reason) => el(
      "label", {}, el("input", { type: "radio", name: "force-reason", value: reason }), el("span", {}, t(`gate.reason_${reason}`)),
    ));
    const other = el("input", { class: "form-control", id: "force-other", autocomplete: "off", maxlength: 200, "aria-label": t("gate.reason_other"), hidden: true });
    const fee = moneyInput(el("input", { class: "form-control form-control-lg", id: "forced-fee", autocomplete: "off" }), number);
    // Of a stay that is known the type is known, too.
    const typed = code === "long_stay" ? null : choice("forced-type", t("gate.forced_type"), [["", t("gate.type_unsaid")], ...types.map((name) => [name, typeName(name)])], type);
    const paid = takesFee ? choice("forced-method", t("gate.method"), methods.map((name) => [name, t(`common.paid_${name}`)]), methods[0]) : null;
    const doubt = el("p", { class: "notice wait", id: "fee-doubt", hidden: true });
    const problem = el("p", { class: "notice bad", id: "reason-missing", role: "alert", hidden: true }, t("gate.reason_missing"));
    const no = el("button", { type: "button", class: "btn btn-outline-secondary btn-lg" }, t("common.cancel"));
    const yes = el("button", { type: "submit", class: "btn btn-danger btn-lg" }, t("gate.force"));
    const form = el(
      "form", { novalidate: true },
      el("h2", { class: "h4", id: "refused-title" }, t(`gate.says_${code}`, { time: info.entry_time ? siteTime(info.entry_time) : "" })),
      el("p", { class: "h3 plate" }, plate),
      el("p", {}, t(`gate.force_${code}`)),
      el("fieldset", { class: "reasons" }, el("legend", { class: "h6" }, t("gate.reason")), choices, other), problem,
      takesFee ? el("div", {}, el("label", { class: "form-label", for: "forced-fee" }, t("gate.forced_fee")), fee) : null,
      takesFee && info.fee ? el("p", { class: "form-text" }, t("gate.due", { fee: money(info.fee) })) : null,
      takesFee && came ? el("p", { class: "notice wait" }, t("gate.forced_received", { received: came, rest: money(due) })) : null,
      doubt, el("div", { class: "beside" }, paid?.box, typed?.box), el("div", { class: "answers" }, no, yes),
    );
    const dialog = el("dialog", { class: "question", "aria-labelledby": "refused-title" }, form);
    let answer = null;
    let sure = null;
    const chosen = () => form.querySelector("[name=force-reason]:checked")?.value ?? null;
    form.addEventListener("change", () => {
      other.hidden = chosen() !== "other";
      problem.hidden = true;
    });
    no.addEventListener("click", () => dialog.close());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const reason = chosen() === "other" ? other.value.trim() : chosen() && t(`gate.reason_${chosen()}`);
      problem.hidden = Boolean(reason);
      if (!reason) return (chosen() === "other" ? other : choices[0].firstElementChild).focus();
      const type = typed?.select.value;
      if (!takesFee) {
        answer = { reason, type };
        return dialog.close();
      }
      const amount = readMoney(fee.value);
      const wrong = amountProblem(amount);
      mark(fee, wrong && t(wrong, { most: money(MOST_VND) }));
      if (wrong) return fee.focus();
      // Said once: whoever presses again means it.
      if (doubtful(amount, came ? due : info.fee ?? null) && sure !== amount) {
        sure = amount;
        doubt.hidden = false;
        put(doubt, t("gate.fee_doubt", { fee: money(amount) }));
        return;
      }
      answer = { reason, fee: amount, method: paid.select.value, type };
      dialog.close();
    });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}

function choice(id, label, options, chosen) {
  const select = el("select", { class: "form-select form-select-lg", id }, options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
  return { select, box: el("div", {}, el("label", { class: "form-label", for: id }, label), select) };
}
