// Why something came to nothing, between centrals or with the files of this one. The program says it in English; here it is in the
// language of the reader.
// What they say, with blanks, and its Vietnamese: static/i18n/reasons.json. Files are tried from the top.

import { language, t } from "./texts.js";

/** What the system says of a link, or of a program that was called, in both languages in words of ours. */
const USUAL = [
  [/^Connection refused/, "common.reason_nobody_listens"],
  [/^(No route to host|Host is unreachable|Network is unreachable)/, "common.reason_unreachable"],
  [/^(no answer within|the dial got no answer|Connection timed out)/, "common.reason_no_answer"],
  [/^nothing heard for/, "common.reason_silent"],
  // What a program that was called answered: its status, and what it said.
  [/^\d{3}(?:: |$)/, "common.reason_answered"],
];

const PLAIN = /[.*+?^$()|[\]\\/]/g;

let known = [];

/** Loads what is needed to understand the others. */
export async function loadReasons() {
  if (language !== "vi") return;
  const answer = await fetch(new URL("../../i18n/reasons.json", import.meta.url));
  if (!answer.ok) throw new Error(`reasons: ${answer.status}`);
  known = Object.entries(await answer.json()).map(([said, text]) => {
    // A blank that comes again stands for the same.
    const blanks = new Set();
    const pattern = said.replaceAll(PLAIN, "\\$&").replaceAll(/\{(\w+)\}/g, (_, name) => {
      if (blanks.has(name)) return `\\k<${name}>`;
      blanks.add(name);
      return `(?<${name}>.+?)`;
    });
    return { pattern: new RegExp(`^${pattern}$`, "s"), text };
  });
}

/** In the language of the reader. What nobody foresaw stands as it was said; in Vietnamese marked as what it is. */
export function reasonText(said) {
  return translated(said) ?? (language === "vi" && said ? t("common.technical", { text: said }) : said);
}

function translated(said) {
  const [, key] = USUAL.find(([pattern]) => pattern.test(said)) ?? [];
  if (key) return t(key, { said });
  for (const { pattern, text } of known) {
    const found = pattern.exec(said);
    if (found) return text.replaceAll(/\{(\w+)\}/g, (_, name) => (name === "reason" ? translated(found.groups.reason) ?? found.groups.reason : found.groups[name]));
  }
  return null;
}
