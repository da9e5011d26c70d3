// What every page has around it: who this central is, the way to the other pages, language, notices, and how fresh what is
// shown is. A page calls `await start("its part of the texts")` first; news comes through `watch` of lib/feed.js.

import { alarmsOf } from "./lib/alarms.js";
import { get } from "./lib/api.js";
import { at, drawIcons, put } from "./lib/dom.js";
import { centralNow, follow, freshness, state, watch } from "./lib/feed.js";
import { ago, day, setZone, timeOfDay } from "./lib/format.js";
import { me, meAnew } from "./lib/login.js";
import { showNotices } from "./lib/notices.js";
import { loadReasons } from "./lib/reasons.js";
import { language, loadTexts, speak, t } from "./lib/texts.js";

const CAMERAS_MS = 30_000;
/** A page that never hears anything says so after this time. */
const PATIENCE_MS = 4000;

const KINDS = { live: "good", asking: "wait", lost: "bad" };
const opened = Date.now();
let version = null;
let settings = null;
let account = null;
let cameras = [];

/** Brings the shell to life. `parts`: the texts of the page. */
export async function start(...parts) {
  drawIcons();
  markNavigation();
  // What scrolls can be scrolled with the keyboard.
  for (const part of document.querySelectorAll(".table-responsive:not([tabindex])")) part.tabIndex = 0;
  // Without them reasons stand as the program says them.
  await Promise.all([loadTexts(...parts), loadReasons().catch(() => {})]);
  watch(["central"], showCentral);
  watch(["central", "peers", "logs", "freshness"], showFreshness);
  showFreshness();
  setInterval(showFreshness, 1000);
  document.addEventListener("logged-in", () => showAccount());
  showAccount();
  // A page opened while the central restarted learns later who is logged in.
  watch(["freshness"], () => { if (account === null) showAccount(); });
  askCameras();
  follow();
}

let heardOfCameras = () => {};

/** Tells what the cameras of this central do: that is not in the feed. */
export function watchCameras(show) {
  heardOfCameras = show;
  show(cameras);
}

async function askCameras() {
  if (!document.hidden) {
    const answer = await get("/api/cameras").catch(() => null);
    if (answer) cameras = answer.cameras;
    heardOfCameras(cameras);
  }
  setTimeout(askCameras, CAMERAS_MS);
}

/** Who is logged in, and the way to log in. Where nobody may look without, the page leads there. */
async function showAccount({ anew = false } = {}) {
  try {
    account = await (anew ? meAnew() : me());
  } catch {
    // The notice of a central that does not answer says it.
    return;
  }
  const { page } = document.body.dataset;
  const link = at("account");
  link.href = page === "login" ? "/login" : `/login?back=${encodeURIComponent(location.pathname + location.hash)}`;
  // For who sets up programs, not for who stands at a gate.
  at("documents").hidden = !account.may_administer;
  put(link, account.kind === "person" ? account.name : t("common.login"));
  // Whoever changed that is not taken away from what is said of it.
  if (!anew && account.security.reads === "login" && account.kind === "nobody" && page !== "login") location.replace(link.href);
  showFreshness();
}

function markNavigation() {
  const { page } = document.body.dataset;
  document.querySelector(`[data-nav="${page}"]`)?.setAttribute("aria-current", "page");
  // People and the audit are tabs of the settings with addresses of their own.
  const tab = document.querySelector(`.tabs a[href^="/${page}"]:not([href^="/settings"])`);
  if (tab) showTab(tab);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
    button.classList.toggle("active", button.dataset.language === language);
    button.addEventListener("click", () => speak(button.dataset.language));
  }
}

/** Marks the tab that is open, and brings it into view: not with scrollIntoView, after which the keyboard would go on from there. */
export function showTab(tab) {
  tab.setAttribute("aria-current", "true");
  tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 40;
}

function showCentral({ central }) {
  // The program was replaced: its pages too, also on a screen nobody touches.
  if (version !== null && version !== central.version) location.reload();
  version = central.version;
  // Who may do what is a part of the settings.
  if (settings !== null && settings !== central.config_version) showAccount({ anew: true });
  settings = central.config_version;
  setZone(central.time_zone);
  put("central-id", central.id).title = central.id;
  put("site-name", central.site || t("common.no_site")).title = central.site;
  // Where the site's clock is not this device's it has to be said whose it is.
  put("zone", central.time_zone === Intl.DateTimeFormat().resolvedOptions().timeZone ? "" : central.time_zone);
  put("version", `ParkMesh ${central.version}`);
  const title = document.querySelector("h1")?.textContent;
  document.title = [title, central.id, "ParkMesh"].filter(Boolean).join(" – ");
}

function showFreshness() {
  const fresh = freshness();
  const silent = fresh.state === "asking" && Date.now() - opened > PATIENCE_MS;
  const element = at("freshness");
  element.className = `freshness state ${silent ? "bad" : KINDS[fresh.state]}`;
  put(element, t(`common.feed_${fresh.state}`));
  const lost = fresh.state === "lost";
  document.body.classList.toggle("stale", lost);
  if (state.central) {
    put("clock", timeOfDay(centralNow()));
    at("clock").title = day(centralNow());
  }
  const found = state.central ? alarmsOf(state, { account }) : [];
  if (lost) found.unshift({ key: "lost", kind: "bad", text: t("common.notice_lost", { age: ago(fresh.heardMs, centralNow()) }) });
  if (silent) found.unshift({ key: "silent", kind: "bad", text: t("common.notice_silent") });
  showNotices(found);
}
