// What needs somebody's hand: what is wrong, since when, what to do about it, and where. The worst first. Pure.

import { reasonText } from "./reasons.js";
import { language, t } from "./texts.js";

/** Of more the number is enough. */
const MOST_NAMED = 3;
const SETTINGS = "/settings#p2p";
const SECURITY = "/settings#security";
/** Where a hand is put to it, and what is of less weight than the rest. */
const PLACES = { peer: SETTINGS, forked: SETTINGS, too_much: SETTINGS, broken_config: SETTINGS, p2p_port: SETTINGS, certificate: SETTINGS, pending: SETTINGS, zone: "/settings#site", tariff: "/settings#tariff" };
const MILD = ["tariff", "pending"];
/** What only an administrator can do something about. */
const FOR_ADMINISTRATORS = ["certificate", "pending"];

/** The first of these centrals, and how many more there are. */
const named = (ids) => ids.slice(0, MOST_NAMED).join(", ") + (ids.length > MOST_NAMED ? ` +${ids.length - MOST_NAMED}` : "");

/** Those of `peers` that `are`, by name. */
const those = (peers, are) => Object.entries(peers).filter(([, peer]) => !peer.expelled && are(peer)).map(([id]) => id).sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));

/** `{key, kind, text, detail, todo, sinceMs, href}`; `detail`: what the program says of it, in the language of the reader. What needs a hand is said by the central (`attention` of the feed); `account` as lib/login.js gives it. */
export function alarmsOf({ central, peers, attention }, { account = null }) {
  const found = [];
  const add = (name, kind, { values = {}, detail = null, sinceMs = null, href = null, member = "" } = {}) =>
    found.push({ key: name + member, kind, text: t(`common.notice_${name}`, values), detail, todo: t(`common.todo_${name}`), sinceMs, href });
  const isForMe = ({ code }) => account?.may_administer || !FOR_ADMINISTRATORS.includes(code);
  const told = Object.values(attention).filter(isForMe).sort((a, b) => rank(a) - rank(b) || (a.member ?? "").localeCompare(b.member ?? "", undefined, { numeric: true }));
  for (const { code, member, values, reason, reason_vi: inVietnamese, since_ms: sinceMs } of told) {
    const href = code === "camera" ? `/gate?edge=${encodeURIComponent(member)}` : PLACES[code];
    const detail = (language === "vi" && inVietnamese) || (reason && reasonText(reason));
    add(code, MILD.includes(code) ? "wait" : "bad", { values, detail, sinceMs, href, member });
  }

  // What only an administrator can do something about, and what somebody chose.
  if (account?.needs_first_password) add("first", "bad", { href: "/login" });
  if (!account?.may_administer) return found;
  const unconfirmed = those(peers, (peer) => peer.unconfirmed);
  if (unconfirmed.length > 0) add("unconfirmed", "wait", { values: { ids: named(unconfirmed) }, href: SETTINGS });
  const differing = those(peers, ({ says }) => Object.entries(account.security).some(([name, mode]) => says?.modes[name] && says.modes[name] !== mode));
  if (differing.length > 0) add("modes", "wait", { values: { ids: named(differing) }, href: SECURITY });
  for (const part of central.open) add(`open_${part}`, "bad", { href: SECURITY });
  if (central.admin_open) add("admin_open", "bad", { href: SECURITY });
  // What is said first has the colour of the strip.
  return found.sort((a, b) => (a.kind === "wait") - (b.kind === "wait"));
}

/** What stops cars or loses something comes first, what can wait last. */
const WORST = ["no_commit", "files", "database", "disk_low", "peer", "camera"];
const rank = ({ code }) => {
  if (MILD.includes(code)) return WORST.length + 1;
  return WORST.includes(code) ? WORST.indexOf(code) : WORST.length;
};
