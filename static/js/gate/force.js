// What a refusal means, and opening all the same: the person is told what that does before it is done.

import { el } from "../lib/dom.js";
import { money } from "../lib/format.js";
import { t } from "../lib/texts.js";

/** What can be forced. A double press and a request id used twice cannot: waiting is right there. */
const FORCED = ["already_inside", "not_inside", "long_stay"];

/** Shows why it was refused. `{}` or `{fee}`: open all the same; null: do not. */
export function askForce(error, direction, info) {
  return new Promise((resolve) => {
    const can = FORCED.includes(error.code);
    const takesFee = can && direction === "EXIT";
    const fee = el("input", { class: "form-control form-control-lg", id: "forced-fee", inputmode: "numeric", autocomplete: "off", value: info?.fee ?? 0 });
    const no = el("button", { type: "button", class: "btn btn-outline-secondary btn-lg" }, t(can ? "common.cancel" : "common.close"));
    const yes = el("button", { type: "button", class: "btn btn-danger btn-lg" }, t("gate.force"));
    const dialog = el(
      "dialog", { class: "question", "aria-labelledby": "refused-title" },
      el("h2", { class: "h4", id: "refused-title" }, t(`gate.refused_${error.code}`)),
      el("p", {}, t(`gate.why_${error.code}`, { time: info?.entry_time ?? "", from: info?.entry_from ?? "" })),
      can ? el("p", { class: "notice wait" }, t(`gate.force_${error.code}`)) : null,
      takesFee ? el("div", {}, el("label", { class: "form-label", for: "forced-fee" }, t("gate.forced_fee")), fee) : null,
      takesFee && info?.fee ? el("p", { class: "form-text" }, t("gate.due", { fee: money(info.fee) })) : null,
      el("div", { class: "answers" }, no, can ? yes : null),
    );
    let answer = null;
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => {
      const amount = Number(fee.value.replace(/[.\s,]/g, ""));
      if (takesFee && !(Number.isInteger(amount) && amount >= 0)) {
        fee.classList.add("is-invalid");
        return fee.focus();
      }
      answer = takesFee ? { fee: amount } : {};
      dialog.close();
    });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });
}
