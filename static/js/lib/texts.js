// The texts of the pages, in two languages: static/i18n/{vi,en}/{part}.json. Vietnamese stands in the HTML already.
//
// A text may have blanks: "Còn {n} giây". A key is the part's name, a dot, and a name: "settings.save".

const LANGUAGES = ["vi", "en"];

/** The language of this browser: "vi" or "en". */
export const language = localStorage.getItem("language") === "en" ? "en" : "vi";

/** What `Intl` calls it. */
export const locale = language === "vi" ? "vi-VN" : "en-GB";

const texts = {};

/** Loads the texts of these parts, "common" with them, and puts them into the document: js/theme.js asked for most of them already. */
export async function loadTexts(...parts) {
  Object.assign(texts, ...await Promise.all(["common", ...parts].map(window.parkmesh.textsOf)));
  window.parkmesh.translate(texts);
}

/** The text of `key`, its blanks filled. A key without a text shows itself. */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The types by the names they are kept under (src/domain/told/vehicle.rs), the usual ones first. */
export const KNOWN_TYPES = ["car", "moto", "bicycle", "truck", "electric", "van", "bus"];
/** Those most sites have. */
export const USUAL_TYPES = KNOWN_TYPES.slice(0, 4);

/** A vehicle type as people call it: those we know by their name, others as the gates say. */
export const typeName = (type) => texts[`common.type_${type}`] ?? type;

/** Asks the history for what nobody did who had logged in. */
export const NOBODY = "-";

/** Who did it, of the name the program gives it: `an`, `token:backup`, `edge:edge-1`; empty: nobody logged in. */
export function personName(by) {
  const [, kind, name] = /^(token|edge|predecessor|command):(.*)$/s.exec(by ?? "") ?? [];
  if (kind) return t(`common.by_${kind}`, { name });
  return by && by !== NOBODY ? by : t("common.by_nobody");
}

/** Whether there is such a text. */
export const hasText = (key) => key in texts;

/** Remembers another language and shows the page in it. */
export function speak(wanted) {
  if (!LANGUAGES.includes(wanted) || wanted === language) return;
  localStorage.setItem("language", wanted);
  location.reload();
}

const SERVER_TIME = /(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d):\d\d/g;

/** A plain sentence in the language of the reader, of a problem the server stated in both; times as people say them. */
export function problemText(problem) {
  const said = (language === "vi" ? problem.message_vi : problem.message) ?? problem.message;
  return said?.replace(SERVER_TIME, (_, year, month, date, time) => t("common.at_day", { time, day: `${date}/${month}/${year}` }));
}
