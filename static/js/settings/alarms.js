// Who is told when something is wrong: the channels, how often, and whether it arrives. Saved by its own button. Addresses, tokens
// and passwords are sent and never shown again: a field that stays empty keeps what is set.

import { get, post, put as save } from "../lib/api.js";
import { at, el, icon, put, state as stateOf } from "../lib/dom.js";
import { state } from "../lib/feed.js";
import { moment_full, number } from "../lib/format.js";
import { markProblems, pictureButton, unmark, valueOf } from "../lib/forms.js";
import { toast } from "../lib/notices.js";
import { reasonText } from "../lib/reasons.js";
import { t } from "../lib/texts.js";
import { read, write } from "./reading.js";

/** What each kind is told by; those of SECRET are shown to nobody. */
const FIELDS = {
  telegram: ["token", "to"],
  zalo: ["token", "to"],
  email: ["server", "port", "user", "password", "from", "to"],
  slack: ["url"],
  webhook: ["url", "token"],
};
const SECRET = ["url", "token", "password"];
const PLAIN = ["language", "silent_minutes", "repeat_hours", "report_at"];

/** As saved; the names of the secrets that are set. */
let saved = null;
let set = [];
let dirty = false;

export async function startAlarms() {
  at("add-channel").addEventListener("click", () => {
    write(at("alarms-form"));
    at("alarm-channels").append(row({ id: "", kind: "telegram" }));
    touched();
    at("alarm-channels").lastElementChild.querySelector("input").focus();
  });
  at("alarms-form").addEventListener("input", touched);
  at("alarms-form").addEventListener("submit", saveAlarms);
  at("undo-alarms").addEventListener("click", () => { read(at("alarms-form")); load(); });
  await load();
}

/** As the feed tells it: how each channel takes it; and settings that were saved elsewhere. */
export function showAlarms({ central: { alarms, config_version: version } }) {
  if (saved && !dirty && saved.version !== version) load();
  for (const place of document.querySelectorAll(".channel")) showState(place, alarms.channels.find(({ id }) => id === place.dataset.id));
  const off = alarms.channels.length === 0;
  at("alarms-state").replaceChildren(
    off ? stateOf("quiet", t("settings.alarms_off"))
      : stateOf(alarms.open > 0 ? "bad" : "good", alarms.open > 0 ? t("settings.alarms_open", { n: number(alarms.open) }) : t("settings.alarms_none")),
    alarms.heartbeat_failed ? stateOf("bad", t("settings.heartbeat_failed", { reason: reasonText(alarms.heartbeat_failed) })) : "",
  );
}

function showState(place, channel) {
  const [kind, text] = !channel ? ["quiet", t("settings.channel_unsaved")]
    : channel.failed ? ["bad", t("settings.channel_failed", { reason: reasonText(channel.failed), n: number(channel.waiting) })]
      : channel.waiting > 0 ? ["wait", t("settings.channel_waiting", { n: number(channel.waiting) })]
        : ["good", channel.told_ms ? t("settings.channel_told", { time: moment_full(channel.told_ms) }) : t("settings.channel_ready")];
  place.querySelector(".channel-state").replaceChildren(stateOf(kind, text));
  place.querySelector(".try").disabled = !channel;
}

async function load() {
  try {
    const { config, version, alarm_secrets } = await get("/api/p2p/config");
    saved = { ...config.alarms, version };
    set = alarm_secrets;
    show();
  } catch {
    setTimeout(load, 3000);
  }
}

function show() {
  unmark(at("alarms-form"));
  at("alarm-channels").replaceChildren(...saved.channels.map(row));
  for (const name of PLAIN) at(`alarms-${name}`).value = saved[name] ?? "";
  at("alarms-heartbeat_url").value = "";
  at("alarms-heartbeat_url").placeholder = set.includes("heartbeat_url") ? t("settings.secret_set") : "–";
  at("drop-heartbeat-label").hidden = !set.includes("heartbeat_url");
  at("drop-heartbeat").checked = false;
  touched(false);
  if (state.central) showAlarms(state);
}

function touched(now = true) {
  dirty = now !== false;
  for (const name of ["save-alarms", "undo-alarms"]) at(name).disabled = !dirty;
}

function field(channel, name) {
  const isSet = set.includes(`${channel.id}.${name}`);
  const input = el("input", { class: "form-control", autocomplete: "off", type: SECRET.includes(name) && name !== "url" ? "password" : "text" });
  Object.assign(input, { id: `channel-${rows}-${name}`, value: channel[name] ?? "", placeholder: isSet ? t("settings.secret_set") : "–" });
  if (name === "token" || name === "password") input.autocomplete = "new-password";
  if (name === "port") Object.assign(input, { inputMode: "numeric", placeholder: "465" });
  input.dataset.field = name;
  if (name === "port") input.dataset.kind = "number";
  return el("div", {}, el("label", { class: "form-label", for: input.id }, t(`settings.channel_${name}`)), input);
}

let rows = 0;

function row(channel) {
  rows += 1;
  const place = el("div", { class: "channel panel-body" });
  place.dataset.id = channel.id;
  const kind = el("select", { class: "form-select", id: `channel-${rows}-kind` }, Object.keys(FIELDS).map((name) => el("option", { value: name }, t(`settings.channel_kind_${name}`))));
  kind.value = channel.kind;
  kind.dataset.field = "kind";
  const id = el("input", { class: "form-control", id: `channel-${rows}-id`, autocomplete: "off", value: channel.id });
  id.dataset.field = "id";
  const rest = el("div", { class: "fields two" });
  const fill = () => rest.replaceChildren(...FIELDS[kind.value].map((name) => field(kind.value === channel.kind ? channel : { id: "" }, name)));
  kind.addEventListener("change", () => { fill(); touched(); });
  fill();
  const attempt = el("button", { type: "button", class: "btn btn-outline-secondary btn-sm try" }, icon("check-circle"), " ", t("settings.channel_test"));
  attempt.addEventListener("click", () => tryChannel(place.dataset.id, attempt));
  const drop = pictureButton(icon("trash"), t("settings.remove_channel"), () => { place.remove(); touched(); }, "outline-danger");
  place.append(
    el("div", { class: "fields two" },
      el("div", {}, el("label", { class: "form-label", for: id.id }, t("settings.channel_id")), id),
      el("div", {}, el("label", { class: "form-label", for: kind.id }, t("settings.channel_kind")), kind)),
    rest, el("div", { class: "buttons" }, el("span", { class: "channel-state" }), attempt, drop),
  );
  showState(place, state.central?.alarms.channels.find((known) => known.id === channel.id));
  return place;
}

/** As the form has them. A secret that was not typed is left out, and so stays as it is. */
function channels() {
  return [...document.querySelectorAll(".channel")].map((place) => {
    const fields = [...place.querySelectorAll("[data-field]")].map((input) => [input.dataset.field, valueOf(input)]);
    return Object.fromEntries(fields.filter(([name, value]) => !(value === "" && (SECRET.includes(name) || name === "port"))));
  });
}

async function saveAlarms(event) {
  event.preventDefault();
  unmark(at("alarms-form"));
  const heartbeat = valueOf(at("alarms-heartbeat_url"));
  const alarms = { ...Object.fromEntries(PLAIN.map((name) => [name, valueOf(at(`alarms-${name}`))])), channels: channels() };
  if (heartbeat || at("drop-heartbeat").checked) alarms.heartbeat_url = heartbeat || null;
  try {
    await save("/api/p2p/config", { alarms });
    toast("good", t("settings.alarms_saved"), { about: "alarms" });
    read(at("alarms-form"));
    await load();
  } catch (error) {
    const rest = markProblems(error.problems, inputOf);
    const reason = error.problems.length > 0 ? rest.join("; ") : error.text;
    toast("bad", `${t("settings.save_failed_other")}${reason ? `: ${reason}` : ""}`, { about: "alarms" });
  }
}

function inputOf(name) {
  const [, index, part] = name.match(/^alarms\.channels\[(\d+)\]\.(\w+)/) ?? [];
  if (index !== undefined) return document.querySelectorAll(".channel")[index]?.querySelector(`[data-field="${part}"]`);
  return document.getElementById(name.replace("alarms.", "alarms-"));
}

async function tryChannel(channel, button) {
  button.disabled = true;
  try {
    const { told, answer } = await post("/api/alarms/test", { channel });
    const text = t(told ? "settings.test_told" : "settings.test_failed", { id: channel, answer: told ? answer : reasonText(answer) });
    toast(told ? "good" : "bad", text, { about: "alarms" });
  } catch (error) {
    toast("bad", error.text, { about: "alarms" });
  }
  button.disabled = false;
}
