// The code by which the fee of the car in hand is transferred, made by the central without asking anybody; nothing where the settings
// name no account. Who looks at the phone of the driver confirms: nobody else can know.

import { get, query } from "../lib/api.js";
import { at, put } from "../lib/dom.js";
import { t } from "../lib/texts.js";

const METHODS = ["qr", "transfer"];
let shown = "";

/** Shows the code by which so much of the fee is paid for a car that pays so, else none. `moved`: called when it came, for the buttons stand elsewhere then. */
export async function showTransfer(car, fee, may, moved) {
  const wanted = may && METHODS.includes(car.method) ? query("/api/vietqr", { fee, event_id: car.info.event_id }) : "";
  if (wanted === shown) return;
  shown = wanted;
  at("transfer").hidden = true;
  if (!wanted) return;
  let code = null;
  try {
    code = await get(wanted);
  } catch {
    // Without an answer the person goes on as without a code.
    shown = "";
    return;
  }
  if (shown !== wanted || !code.svg) return;
  // It is found by this at the bank, and in the history by the reference.
  car.reference = code.content;
  at("transfer-code").replaceChildren(document.importNode(new DOMParser().parseFromString(code.svg, "image/svg+xml").documentElement, true));
  put("transfer-to", [code.holder, code.account].filter(Boolean).join(" · "));
  put("transfer-content", t("gate.transfer_content", { content: code.content }));
  at("transfer").hidden = false;
  moved();
  // On a phone the buttons stand at the foot of the screen, over it.
  if (innerWidth < 576) at("transfer").scrollIntoView({ block: "center" });
}
