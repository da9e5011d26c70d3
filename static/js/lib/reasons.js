// Why something came to nothing between centrals. They say it to each other in English; here it is in the language of the reader.
// What they say, with blanks, and its Vietnamese: static/i18n/reasons.json. Files are tried from the top.

import { language, reasonText as commonReason } from "./texts.js";

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

/** In the language of the reader; what nobody foresaw as it was said. What every page may have to say is in `texts.js`. */
export function reasonText(said) {
  for (const { pattern, text } of known) {
    const found = pattern.exec(said);
    if (found) {
      return text.replaceAll(/\{(\w+)\}/g, (_, name) => (name === "reason" ? reasonText(found.groups.reason) : found.groups[name]));
    }
  }
  return commonReason(said);
}
