// Days and moments as people here write them, 30/11/2026 14:30. An input of the browser's own kind shows them as the browser was
// installed, so that on an English one the first of December stands as 12/01/2026. Pure: tests/browser/units.test.mjs runs it without a browser.

const WRITTEN = /^(?:(\d{1,2})[\/. -](\d{1,2})[\/. -](\d{4}|\d{2})|(\d{2})(\d{2})(\d{4}))(?:[ T,]+(\d{1,2})[:hg](\d{2})?)?$/;
const OF_PROGRAMS = /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::\d{2})?)?$/;

const two = (number) => String(number).padStart(2, "0");

/**
 * What was written, as the server takes it: `2026-11-30`, of a moment `2026-11-30T14:30` (00:00 unless said). Nothing written: `""`; null: that
 * is no day. `1/12/2026`, `01.12.26`, `01122026`, `2026-12-01`; the time as `14:30`, `14h30`, `14h`.
 */
export function readDate(text, isMoment = false) {
  const written = text.trim();
  if (written === "") return "";
  const here = WRITTEN.exec(written);
  const [, year, month, day, hour, minute] = here ? [null, here[3] ?? here[6], here[2] ?? here[5], here[1] ?? here[4], here[7], here[8]] : OF_PROGRAMS.exec(written) ?? [];
  if (year === undefined || (hour !== undefined && !isMoment)) return null;
  const [y, m, d] = [Number(year) + (year.length === 2 ? 2000 : 0), Number(month), Number(day)];
  // The calendar knows which days there are: others it moves on.
  const found = new Date(Date.UTC(y, m - 1, d));
  if (found.getUTCMonth() !== m - 1 || found.getUTCDate() !== d || Number(hour ?? 0) > 23 || Number(minute ?? 0) > 59) return null;
  return `${y}-${two(m)}-${two(d)}${isMoment ? `T${two(hour ?? 0)}:${minute ?? "00"}` : ""}`;
}

/** What the server takes, as people here write it. */
export function dateText(said) {
  const [, year, month, day, hour, minute] = OF_PROGRAMS.exec(said) ?? [];
  if (year === undefined) return said;
  return `${two(day)}/${two(month)}/${year}${hour === undefined ? "" : ` ${two(hour)}:${minute}`}`;
}
