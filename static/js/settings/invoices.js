// Who makes invoices of what is taken at the exits of this machine. Saved by its own button, as the alarms are: address and token are sent and
// never shown again, and a field that stays empty keeps what is set.

import { get, put as save } from "../lib/api.js";
import { putIn, unreadDates, valueIn } from "../lib/date_field.js";
import { at, state as stateOf } from "../lib/dom.js";
import { state } from "../lib/feed.js";
import { number } from "../lib/format.js";
import { markProblems, unmark, valueOf } from "../lib/forms.js";
import { toast } from "../lib/notices.js";
import { reasonText } from "../lib/reasons.js";
import { t } from "../lib/texts.js";
import { read } from "./reading.js";

const SECRET = ["url", "token"];

/** As saved; the names of the secrets that are set. */
let saved = null;
let set = [];
let dirty = false;

export async function startInvoices() {
  at("invoices-form").addEventListener("input", () => touched());
  at("invoices-form").addEventListener("submit", saveInvoices);
  at("undo-invoices").addEventListener("click", () => { read(at("invoices-form")); load(); });
  await load();
}

/** As the feed tells it: what waits; and settings that were saved elsewhere. */
export function showInvoices({ central: { invoices, config_version: version } }) {
  if (saved && !dirty && saved.version !== version) load();
  const n = number(invoices.waiting);
  const [kind, text] = !invoices.on ? ["quiet", t("settings.invoices_off")]
    : invoices.failed && invoices.waiting > 0 ? ["bad", t("settings.invoices_failed", { n, reason: reasonText(invoices.failed) })]
      : invoices.waiting > 0 ? ["wait", t("settings.invoices_waiting", { n })] : ["good", t("settings.invoices_well")];
  at("invoices-state").replaceChildren(stateOf(kind, text));
}

async function load() {
  try {
    const { config, version, invoice_secrets } = await get("/api/p2p/config");
    saved = { ...config.invoices, version };
    set = invoice_secrets;
    show();
  } catch {
    setTimeout(load, 3000);
  }
}

function show() {
  unmark(at("invoices-form"));
  for (const name of SECRET) {
    at(`invoices-${name}`).value = "";
    at(`invoices-${name}`).placeholder = set.includes(name) ? t("settings.secret_set") : "–";
  }
  putIn(at("invoices-from"), saved.from ?? "");
  at("invoices-after_seconds").value = saved.after_seconds;
  at("invoices-free").checked = saved.free;
  at("drop-invoices-label").hidden = !set.includes("url");
  at("drop-invoices").checked = false;
  touched(false);
  if (state.central) showInvoices(state);
}

function touched(now = true) {
  dirty = now;
  for (const name of ["save-invoices", "undo-invoices"]) at(name).disabled = !dirty;
}

async function saveInvoices(event) {
  event.preventDefault();
  unmark(at("invoices-form"));
  if (unreadDates(at("invoices-form"))) return;
  const invoices = { from: valueIn(at("invoices-from")) || null, after_seconds: valueOf(at("invoices-after_seconds")), free: at("invoices-free").checked };
  for (const name of SECRET) if (valueOf(at(`invoices-${name}`))) invoices[name] = valueOf(at(`invoices-${name}`));
  if (at("drop-invoices").checked) Object.assign(invoices, { url: null, token: null });
  try {
    await save("/api/p2p/config", { invoices });
    toast("good", t("settings.invoices_saved"), { about: "invoices" });
    read(at("invoices-form"));
    await load();
  } catch (error) {
    const rest = markProblems(error.problems, (name) => document.getElementById(name.replace("invoices.", "invoices-")));
    const reason = error.problems.length > 0 ? rest.join("; ") : error.text;
    toast("bad", `${t("settings.save_failed_other")}${reason ? `: ${reason}` : ""}`, { about: "invoices" });
  }
}
