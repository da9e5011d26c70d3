// Cài đặt P2P: settings of this central, tariff and subscriptions. What a person is changing is never overwritten by what
// happens meanwhile: live cells change, inputs do not, and a save by somebody else is shown as what it differs in.

import { get, put as save } from "./lib/api.js";
import { dateInputs } from "./lib/date_field.js";
import { at, el, keyed, put, state as stateOf } from "./lib/dom.js";
import { centralNow, state, watch } from "./lib/feed.js";
import { duration, number } from "./lib/format.js";
import { mark, markProblems, show, unmark, valueOf } from "./lib/forms.js";
import { toast } from "./lib/notices.js";
import { problemText, t } from "./lib/texts.js";
import { showAlarms, startAlarms } from "./settings/alarms.js";
import { showInvoices, startInvoices } from "./settings/invoices.js";
import { showBackup, startBackup } from "./settings/backup.js";
import { BANKS } from "./settings/banks.js";
import { showChecklist } from "./settings/checklist.js";
import { Draft } from "./settings/draft.js";
import { addEdge, edgeInput, showEdges } from "./settings/edges.js";
import { showIdentity, startMembers } from "./settings/members.js";
import { makeModes, showModes } from "./settings/modes.js";
import { pathName } from "./settings/names.js";
import { addPeer, peerInput, showPeers } from "./settings/peers.js";
import { lock, read, startReading, write } from "./settings/reading.js";
import { startRights } from "./settings/rights.js";
import { startSubscriptions } from "./settings/subscriptions.js";
import { startTariff, tariffIsDirty } from "./settings/tariff.js";
import { showTab, start } from "./shell.js";

/** Offered where the browser knows no list of its own (before 2022); any other can be typed. */
const USUAL_ZONES = ["Asia/Ho_Chi_Minh", "Asia/Bangkok", "Asia/Phnom_Penh", "Asia/Singapore", "UTC"];
const PARTS = ["p2p", "site", "security", "tariff", "subscriptions"];

/** What everyone here works on; `current` is replaced when the settings are read anew. */
const draft = {
  current: null,
  /** The ids of the gates that have a key. */
  withKeys: new Set(),
  get mine() { return this.current.mine; },
  get base() { return this.current.base; },
};
let saving = false;
/** Settings that somebody else saved, until the person decided: `{config, version}`. */
let theirs = null;

async function load() {
  try {
    const { config, version, edges_with_keys } = await get("/api/p2p/config");
    draft.current = new Draft(config, version);
    draft.withKeys = new Set(edges_with_keys);
    theirs = null;
    at("loading").hidden = true;
    unmark(at("main"));
    read();
    showPart();
    showDraft();
  } catch {
    put("loading", t("settings.not_loaded"));
    at("loading").hidden = false;
    setTimeout(load, 3000);
  }
}

const shownPart = () => (PARTS.includes(location.hash.slice(1)) ? location.hash.slice(1) : PARTS[0]);

/** What is saved is called after the part it is seen in. */
const inNetwork = () => shownPart() === "p2p";
const nameSave = () => put("save", t(inNetwork() ? "settings.save" : "settings.save_other"));

function showPart() {
  const part = shownPart();
  if (!saving) nameSave();
  for (const name of PARTS) at(name).hidden = name !== part || draft.current === null;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.getAttribute("href") === `/settings#${part}`) showTab(link);
    else link.removeAttribute("aria-current");
  }
}

function showDraft() {
  for (const input of document.querySelectorAll("[data-path]")) {
    const [object, field] = input.dataset.path.split(".");
    show(input, draft.mine[object][field]);
  }
  showPeers(draft, showDraft);
  showEdges(draft, showDraft, othersSaved);
  showModes(draft);
  lock();
  showLacking();
  const changes = draft.current.changes.length;
  at("savebar").hidden = changes === 0;
  put("unsaved", t("settings.unsaved", { n: changes }));
  at("conflict").hidden = theirs === null;
  if (theirs) showConflict();
}

/** Which tariff holds is known once the page follows its central. */
function showLacking() {
  if (draft.current && state.central) showChecklist(draft.base, state.central.tariff_version);
}

function showConflict() {
  const shown = (value) => (value === undefined ? t("settings.absent") : value === true ? t("settings.present") : value ?? "–");
  const rows = draft.current.conflicts(theirs.config);
  at("differences").hidden = rows.length === 0;
  keyed(at("differences").tBodies[0], rows, (row) => row.path, () => el("tr"), (row, { path, a, b }) => {
    row.replaceChildren(el("td", {}, pathName(path)), el("td", {}, String(shown(a))), el("td", {}, String(shown(b))));
  });
}

/** Whether these are the settings in force, and the site is called as they say: its name may have been given at another central. */
const isKnown = (version, { site }) => state.central.config_version === version && state.central.site === site.name;

/** Somebody saved: taken over at once if nothing is being changed here, else shown. */
async function othersSaved() {
  if (saving || draft.current === null || isKnown(draft.current.version, draft.base)) return;
  if (theirs && isKnown(theirs.version, theirs.config)) return;
  if (!draft.current.isDirty) return load();
  try {
    const saved = await get("/api/p2p/config");
    draft.withKeys = new Set(saved.edges_with_keys);
    // What does not touch what is being changed here, as the key of a gate, needs no decision.
    if (draft.current.conflicts(saved.config).length === 0) draft.current.rebase(saved.config, saved.version);
    else theirs = saved;
    showDraft();
  } catch {
    // The next news of the feed brings us here again.
  }
}

async function saveDraft() {
  if (saving) return;
  saving = true;
  const button = at("save");
  button.disabled = true;
  put(button, t("settings.saving"));
  unmark(at("main"));
  try {
    const saved = await save("/api/p2p/config", draft.current.toJson());
    draft.current = new Draft(saved.config, saved.version);
    theirs = null;
    read();
    const applied = saved.applied.map((what) => t(`settings.applied_${what}`)).join(", ");
    toast("good", `${t(inNetwork() ? "settings.saved" : "settings.saved_other")}${applied ? ` (${applied})` : ""}`, { about: "settings" });
    for (const warning of saved.warnings) toast("wait", `${fieldName(warning.field)}: ${problemText(warning)}`);
    if (saved.applied.includes("api_listener")) sayNewAddress(saved.config);
  } catch (error) {
    if (error.code === "stale_version") {
      theirs = await get("/api/p2p/config").catch(() => null);
      toast("bad", t("settings.stale"), { about: "settings" });
      at("conflict").scrollIntoView({ block: "center" });
    } else {
      const rest = markProblems(error.problems, inputOf);
      const reason = error.problems.length > 0 ? rest.join("; ") : error.text;
      toast("bad", `${t(inNetwork() ? "settings.save_failed" : "settings.save_failed_other")}${reason ? `: ${reason}` : ""}`, { about: "settings" });
    }
  }
  saving = false;
  button.disabled = false;
  nameSave();
  showDraft();
  othersSaved();
}

function fieldName(field) {
  const input = inputOf(field);
  const label = input?.labels?.[0];
  // Beside the name may stand whose it is.
  return (label?.firstElementChild ?? label)?.textContent.replace(" *", "") ?? input?.getAttribute("aria-label") ?? field;
}

function inputOf(field) {
  const found = document.querySelector(`[data-path="${CSS.escape(field).replaceAll("\\.", ".")}"]`) ?? peerInput(draft, field) ?? edgeInput(draft, field);
  // What is wrong may stand in a part that is not shown.
  const panel = found?.closest("[data-editable]");
  if (panel) write(panel);
  const part = found?.closest(".part");
  if (part?.hidden) {
    location.hash = part.id;
    showPart();
  }
  return found;
}

/** The page itself is at the old address. */
function sayNewAddress({ this_central: { ip, api_port }, security }) {
  const host = ip.includes(":") ? `[${ip}]` : ip;
  toast("wait", t("settings.moved", { address: `${security.api}://${host}:${api_port}/settings` }));
}

function showNetwork({ central, peers }) {
  const all = Object.values(peers);
  at("running").replaceChildren(stateOf(central.listening ? "good" : "bad", t(central.listening ? "settings.running" : "settings.not_running")));
  put("listening", central.listening ?? central.listen_error ?? "");
  put("connected", number(all.filter((peer) => peer.state === "connected").length));
  put("total", number(all.length));
  put("own-id", central.id);
}

function showLogs({ logs }) {
  const all = Object.entries(logs).sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  const missing = all.reduce((sum, [, log]) => sum + Math.max(0, log.known - log.have), 0);
  at("logs-state").replaceChildren(stateOf(missing > 0 ? "wait" : "good", missing > 0 ? t("settings.we_lack", { n: number(missing) }) : t("settings.in_sync")));
  keyed(at("logs"), all, ([name]) => name, () => el("tr"), (row, [name, log]) => {
    const reason = log.waits_for ? t(`settings.waits_${log.waits_for}`) : "";
    const waits = reason ? `${reason} (${duration(centralNow() - log.waits_since_ms)})` : "";
    const cell = (head, text, kind = null) => el("td", { class: kind, "data-head": t(head) }, text);
    row.replaceChildren(
      cell("settings.log", name.replace("/", " / "), "log-name"), cell("settings.have", number(log.have), "number"), cell("settings.missing", number(Math.max(0, log.known - log.have)), "number"),
      cell("settings.source", log.source ?? ""), cell("settings.waits", waits),
    );
  });
}

function bind() {
  // What is being corrected is no longer wrong until the server says so again.
  at("main").addEventListener("input", ({ target }) => { if (target.classList.contains("is-invalid")) mark(target, null); });
  for (const input of document.querySelectorAll("[data-path]")) {
    input.addEventListener("input", () => {
      const [object, field] = input.dataset.path.split(".");
      draft.mine[object][field] = valueOf(input);
      showDraft();
    });
  }
  at("save").addEventListener("click", saveDraft);
  at("undo").addEventListener("click", () => { document.activeElement.blur(); load(); });
  at("take-theirs").addEventListener("click", load);
  at("keep-mine").addEventListener("click", () => {
    draft.current.rebase(theirs.config, theirs.version);
    theirs = null;
    showDraft();
  });
  const form = at("new-peer");
  const openForm = (open) => { form.hidden = !open; at("add-peer").hidden = open; };
  at("add-peer").addEventListener("click", () => { openForm(true); at("new-id").focus(); });
  at("no-new-peer").addEventListener("click", () => { form.reset(); openForm(false); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (addPeer(draft, showDraft)) {
      form.reset();
      openForm(false);
    }
  });
  at("add-edge").addEventListener("click", () => {
    write(at("edges").closest("[data-editable]"));
    addEdge(draft, showDraft);
  });
  at("banks").replaceChildren(...BANKS.map(([value, name]) => el("option", { value }, name)));
  at("zones").replaceChildren(...(Intl.supportedValuesOf?.("timeZone") ?? USUAL_ZONES).map((value) => el("option", { value })));
  addEventListener("hashchange", showPart);
  addEventListener("beforeunload", (event) => {
    if (draft.current?.isDirty || tariffIsDirty()) event.preventDefault();
  });
}

await start("settings");
makeModes();
dateInputs();
startReading();
bind();
startMembers();
await Promise.all([load(), startRights()]);
startTariff();
startSubscriptions();
startBackup();
startAlarms();
startInvoices();
watch(["central", "peers"], showNetwork);
watch(["central"], showIdentity);
watch(["peers", "freshness"], () => {
  if (!draft.current) return;
  showPeers(draft, showDraft);
  showModes(draft);
});
watch(["central"], showBackup);
watch(["central"], showAlarms);
watch(["central"], showInvoices);
watch(["logs"], showLogs);
watch(["central"], othersSaved);
watch(["central"], showLacking);
document.addEventListener("logged-in", startRights);
setInterval(() => draft.current && showPeers(draft, showDraft), 5000);
