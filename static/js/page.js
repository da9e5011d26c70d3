// The overview of one central: asks it every two seconds and shows what it says. Texts: /static/i18n/.

const PERIOD_MS = 2000;
const ROWS = 8;
// Clocks further apart than this are wrong.
const MOST_SKEW_S = 60;

const texts = { vi: {}, en: {} };
let language = localStorage.getItem("language") === "en" ? "en" : "vi";
let last = null;
let lastAt = 0;

const at = (id) => document.getElementById(id);
const text = (key, values = {}) =>
  (texts[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const number = (value) => new Intl.NumberFormat(language === "vi" ? "vi-VN" : "en-GB").format(value);

async function json(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PERIOD_MS * 2) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function put(id, value) {
  const element = at(id);
  if (element.textContent !== value) element.textContent = value;
}

function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return text("seconds", { n: seconds });
  if (seconds < 5400) return text("minutes", { n: Math.round(seconds / 60) });
  return text("hours", { n: Math.round(seconds / 3600) });
}

function span(className, content) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = content;
  return element;
}

function item(...parts) {
  const element = document.createElement("li");
  element.append(...parts);
  return element;
}

function showPeers({ p2p }) {
  const nowMs = p2p.now_ms;
  at("alone").hidden = p2p.peers.length > 0;
  put("linked", p2p.peers.length > 0 ? `${p2p.connected_peers}/${p2p.total_peers}` : "");
  at("peers").replaceChildren(...p2p.peers.map((peer) => {
    const since = age(nowMs - peer.since_ms);
    const color = peer.connected ? "good" : peer.state === "connecting" ? "wait" : "bad";
    const parts = [text(`state_${peer.state}`, { since })];
    if (!peer.connected && peer.reason) parts.push(peer.reason);
    if (peer.connected && peer.we_lack_events > 0) parts.push(text("we_lack", { n: number(peer.we_lack_events) }));
    if (peer.connected && peer.it_lacks_events > 0) parts.push(text("it_lacks", { n: number(peer.it_lacks_events) }));
    const end = peer.last_heard_ms ? text("heard", { age: age(nowMs - peer.last_heard_ms) }) : "";
    return item(
      span("name", peer.peer_id),
      span(`state ${color}`, parts.shift()),
      span("detail", parts.join(" · ")),
      span("end", end),
    );
  }));
}

function showRecent({ history }) {
  at("nothing").hidden = history.history.length > 0;
  at("recent").replaceChildren(...history.history.map((row) => {
    const inside = row.status === "IN";
    const detail = inside ? row.entry_camera_name : row.exit_camera_name ?? row.entry_camera_name;
    const end = inside || !row.exit_time ? row.entry_time : `${row.exit_time} · ${number(row.fee)} đ`;
    return item(
      span("name", row.plate_view),
      span(`state ${inside ? "good" : row.status === "OUT" ? "quiet" : "wait"}`, text(`status_${row.status}`)),
      span("detail", detail ?? ""),
      span("end", end),
    );
  }));
}

function warnings(view) {
  const found = [];
  if (view === null || Date.now() - lastAt > PERIOD_MS * 3) found.push(["bad", text("lost")]);
  if (view === null) return found;
  const { status, p2p } = view;
  if (!status.central.can_commit) found.push(["bad", text("no_commit")]);
  if (status.central.clock_behind) found.push(["bad", text("clock_behind")]);
  if (status.central.broken_config) found.push(["bad", text("broken_config", { reason: status.central.broken_config })]);
  for (const peer of p2p.peers) {
    const skew = Math.round(Math.abs(peer.clock_offset_ms ?? 0) / 1000);
    if (skew > MOST_SKEW_S) found.unshift(["bad", text("skew", { n: number(skew), peer: peer.peer_id })]);
  }
  if (p2p.listen_error) found.push(["bad", text("p2p_port", { reason: p2p.listen_error })]);
  if (status.central.open) found.push(["wait", text("open")]);
  return found;
}

function show() {
  const found = warnings(last);
  at("warnings").hidden = found.length === 0;
  at("warnings").replaceChildren(...found.map(([className, content]) => {
    const element = item(content);
    element.className = className;
    return element;
  }));
  put("freshness", lastAt === 0 ? text("asking") : text("fresh", { age: age(Date.now() - lastAt) }));
  if (last === null) return;
  const { status, history } = last;
  document.title = `${status.central.id} – ParkMesh`;
  put("central", status.central.id);
  put("site", status.central.site || text("no_site"));
  put("clock", status.central.time);
  put("zone", status.central.time_zone);
  put("inside", number(history.stats.vehicles_in_parking));
  put("entries", number(history.stats.entries_today));
  put("exits", number(history.stats.exits_today));
  put("revenue", `${number(history.stats.revenue_today)} đ`);
  showPeers(last);
  showRecent(last);
}

function speak(wanted) {
  language = wanted;
  localStorage.setItem("language", wanted);
  document.documentElement.lang = wanted;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === wanted));
  }
  show();
}

async function refresh() {
  try {
    const [status, p2p, history] = await Promise.all([
      json("/api/status"), json("/api/p2p/status"), json(`/api/parking/history?limit=${ROWS}`),
    ]);
    last = { status, p2p, history };
    lastAt = Date.now();
  } catch {
    // Shown as lost once it is old; tried again all the time.
  }
  show();
  setTimeout(refresh, PERIOD_MS);
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => speak(button.dataset.language));
}
[texts.vi, texts.en] = await Promise.all([json("/static/i18n/vi.json"), json("/static/i18n/en.json")]);
speak(language);
refresh();
