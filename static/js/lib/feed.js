// The only module that opens the status feed (docs/status-feed.md). It keeps `state` up to date for ever, resumes after a
// break, and says how fresh it is.

import { t } from "./texts.js";

const MEMBERS = ["peers", "logs", "gates", "attention"];
/** As many as the central keeps: a page that is open for a year holds no more. */
const MOST_EVENTS = 100;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 3000;
/** The central says something at least every 5 s. */
const SILENCE_MS = 12_000;

/** What the central said last; `number` is null before the first snapshot. */
export const state = { number: null, central: null, lot: null, course: null, anomalies: [], peers: {}, logs: {}, gates: {}, attention: {}, events: [] };

/** Heard last, by this browser's clock; 0: never. */
let heardMs = 0;
let socket = null;
let pauseMs = FIRST_PAUSE_MS;
/** The central's clock minus ours. */
let offsetMs = 0;
const watchers = [];
let changed = new Set();
let frame = 0;

/** The central's clock now, Unix ms. */
export const centralNow = () => Date.now() + offsetMs;

/** `live`, `asking` (nothing was heard yet) or `lost`, and when something was heard last (central's clock). */
export function freshness() {
  const open = socket?.readyState === WebSocket.OPEN && Date.now() - heardMs < SILENCE_MS;
  return { state: heardMs === 0 ? "asking" : open ? "live" : "lost", heardMs: heardMs + offsetMs };
}

/** A gate by the name the site gave it, with its central where another has that name too; else by its address, `central-1/edge-1`. */
export function gateName(address) {
  const gate = state.gates[address];
  if (!gate?.name) return address;
  const isShared = Object.values(state.gates).some((other) => other !== gate && other.name === gate.name);
  return isShared ? `${gate.name} (${gate.central})` : gate.name;
}

/** A sentence of the program, with the gates it names called as the site calls them. */
export const withGateNames = (sentence) => Object.values(state.gates).filter((gate) => gate.name)
  .reduce((text, { name, edge, central }) => text.split(t("common.gate_said", { edge, central })).join(name), sentence);

/**
 * Calls `show(state)` once there is a snapshot, and whenever one of these sections changes; at most once a frame. With section
 * `"freshness"`: also when the connection comes or goes.
 */
export function watch(sections, show) {
  watchers.push({ sections, show });
  if (state.number !== null) show(state);
}

/** Connects, and stays connected. */
export function follow() {
  const resume = state.feed ? `?feed=${state.feed}&after=${state.number}` : "";
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/status${resume}`);
  socket.addEventListener("message", ({ data }) => hear(JSON.parse(data)));
  socket.addEventListener("close", () => {
    note("freshness");
    setTimeout(follow, pauseMs * (0.5 + Math.random()));
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  });
}

function hear(message) {
  const wasLive = freshness().state === "live";
  heardMs = Date.now();
  pauseMs = FIRST_PAUSE_MS;
  if (Number.isFinite(message.now_ms)) offsetMs = message.now_ms - heardMs;
  if (message.type === "snapshot") {
    for (const section of MEMBERS) state[section] = {};
    state.events = [];
    ["events", ...MEMBERS].forEach(note);
  }
  if (message.type === "snapshot" || message.type === "change") take(message);
  socket.send(JSON.stringify({ type: "ack", number: message.number }));
  if (!wasLive) note("freshness");
}

function take(message) {
  for (const [key, value] of Object.entries(message)) {
    if (MEMBERS.includes(key)) {
      for (const [member, content] of Object.entries(value)) {
        if (content === null) delete state[key][member];
        else state[key][member] = content;
      }
    } else if (key === "events") {
      state.events = [...state.events, ...value].slice(-MOST_EVENTS);
    } else if (key !== "type" && key !== "after") {
      state[key] = value;
    }
    note(key);
  }
}

/** What changed is shown with the next frame; a page nobody sees draws nothing. */
function note(section) {
  changed.add(section);
  frame ||= requestAnimationFrame(() => {
    const sections = changed;
    changed = new Set();
    frame = 0;
    if (state.number === null) return;
    for (const watcher of watchers) {
      if (watcher.sections.some((section) => sections.has(section))) watcher.show(state);
    }
  });
}

// A line that died without a word, and a computer that slept: both are found within seconds.
setInterval(() => {
  if (socket?.readyState === WebSocket.OPEN && heardMs !== 0 && Date.now() - heardMs > SILENCE_MS) socket.close();
}, 2000);
