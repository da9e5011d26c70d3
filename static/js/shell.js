// What every page has around it: who this central is, the way to the other pages, language, notices, and how fresh what is
// shown is. A page calls `start("its part of the texts")` first.

import { get } from "./lib/api.js";
import { at, drawIcons, put } from "./lib/dom.js";
import { ago, number, setZone } from "./lib/format.js";
import { showNotices } from "./lib/notices.js";
import { language, loadTexts, speak, t } from "./lib/texts.js";

const PERIOD_MS = 2000;
/** Older than this is said to be old. */
const STALE_MS = 6000;
/** Clocks further apart than this are wrong. */
const MOST_SKEW_S = 60;

const listeners = [];
let last = null;
let lastAtMs = 0;

/** Calls `listener({status, p2p})` now, if it is known, and with each news of this central. */
export function onStatus(listener) {
  listeners.push(listener);
  if (last) listener(last);
}

/** Brings the shell to life. `parts`: the texts of the page. */
export async function start(...parts) {
  drawIcons();
  markNavigation();
  await loadTexts(...parts);
  refresh();
  setInterval(showFreshness, 1000);
}

function markNavigation() {
  const page = document.body.dataset.page;
  document.querySelector(`[data-nav="${page}"]`)?.setAttribute("aria-current", "page");
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
    button.classList.toggle("active", button.dataset.language === language);
    button.addEventListener("click", () => speak(button.dataset.language));
  }
}

async function refresh() {
  try {
    const [status, p2p] = await Promise.all([get("/api/status"), get("/api/p2p/status")]);
    last = { status, p2p };
    lastAtMs = Date.now();
    show();
    for (const listener of listeners) listener(last);
  } catch {
    // Said by `showFreshness` once it lasts; tried again all the time.
  }
  showFreshness();
  setTimeout(refresh, PERIOD_MS);
}

function show() {
  const { central } = last.status;
  setZone(central.time_zone);
  put("central-id", central.id);
  put("site-name", central.site || t("common.no_site"));
  put("clock", central.time.slice(11, 16));
  put("zone", central.time_zone);
  put("version", `ParkMesh ${central.version}`);
  const title = document.querySelector("h1")?.textContent;
  document.title = [title, central.id, "ParkMesh"].filter(Boolean).join(" – ");
}

function showFreshness() {
  const lost = Date.now() - lastAtMs > STALE_MS;
  const element = at("freshness");
  element.className = `freshness state ${lost ? (lastAtMs === 0 ? "wait" : "bad") : "good"}`;
  put(element, lastAtMs === 0 ? t("common.asking") : lost ? t("common.stale", { age: ago(lastAtMs) }) : t("common.live"));
  document.body.classList.toggle("stale", lost && lastAtMs !== 0);
  showNotices(notices(lost && lastAtMs !== 0));
}

function notices(lost) {
  const found = [];
  const add = (key, kind, values) => found.push({ key, kind, text: t(`common.notice_${key}`, values) });
  if (lost) add("lost", "bad", { age: ago(lastAtMs) });
  if (last === null) return found;
  const { status, p2p } = last;
  for (const peer of p2p.peers) {
    const skew = Math.round(Math.abs(peer.clock_offset_ms ?? 0) / 1000);
    if (skew > MOST_SKEW_S) {
      const text = t("common.notice_skew", { n: number(skew), peer: peer.peer_id });
      found.push({ key: `skew-${peer.peer_id}`, kind: "bad", text });
    }
  }
  if (!status.central.can_commit) add("no_commit", "bad");
  if (status.central.clock_behind) add("clock_behind", "bad");
  if (status.central.broken_config) add("broken_config", "bad", { reason: status.central.broken_config });
  if (p2p.listen_error) add("p2p_port", "bad", { reason: p2p.listen_error });
  if (status.central.open) add("open", "wait");
  return found;
}
