// Amounts as people type them. A dot and a comma part thousands, as Vietnamese and English write them: there is no half đồng,
// so neither is ever taken for a decimal point, and what could be one is refused rather than guessed.
//
// Pure but for `moneyInput`: tests/browser/units.test.mjs runs it without a browser.

/** Below this nobody charges: more likely a slip, "25" for 25.000. */
export const SMALLEST_VND = 500;
/** More than this is taken from nobody, as the program has it: a slip. */
export const MOST_VND = 100_000_000;

const UNITS = [
  [/(?:triệu|trieu|tr|million|m)$/, 1_000_000],
  [/(?:nghìn|nghin|ngàn|ngan|thousand|k)$/, 1000],
];
const CURRENCY = /(?:vnđ|vnd|đồng|dong|₫|đ)$/;
/** `25000`, or groups of three parted by one and the same sign. */
const WHOLE = /^(?:\d+|\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*)$/;
/** Before a unit a decimal is meant: `1,5 triệu`. */
const DECIMAL = /^\d+[.,]\d{1,2}$/;

/** Whole đồng, or null: this is no amount. `25.000`, `25,000`, `25 000`, `25000`, `25 nghìn`, `25k`, `1,5 triệu`, each with or without `đ`. */
export function readMoney(text) {
  let rest = text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim().replace(CURRENCY, "").trim();
  let unit = 1;
  for (const [pattern, worth] of UNITS) {
    if (unit !== 1 || !pattern.test(rest)) continue;
    rest = rest.replace(pattern, "").trim();
    unit = worth;
  }
  let amount = null;
  if (WHOLE.test(rest)) amount = Number(rest.replace(/[.,' ]/g, "")) * unit;
  else if (unit > 1 && DECIMAL.test(rest)) amount = Math.round(Number(rest.replace(",", ".")) * unit);
  return Number.isSafeInteger(amount) ? amount : null;
}

/** Why it can be no amount, as a text of `common`; null: it can. */
export const amountProblem = (vnd) => (vnd === null ? "common.no_amount" : vnd > MOST_VND ? "common.amount_too_large" : null);

/** What makes an amount worth a question: `"small"`, `"change"` (by more than half of what it was), or null. `before`: null where there was none. */
export function doubtful(vnd, before = null) {
  if (vnd > 0 && vnd < SMALLEST_VND) return "small";
  if (before !== null && before !== vnd && Math.abs(vnd - before) * 2 > before) return "change";
  return null;
}

/** Has an input show its amount formatted as soon as it is left, and plainly wrong where it is none. `format`: of lib/format.js. */
export function moneyInput(input, format) {
  input.inputMode = "text";
  input.addEventListener("change", () => {
    const vnd = readMoney(input.value);
    if (vnd !== null) input.value = format(vnd);
  });
  return input;
}
