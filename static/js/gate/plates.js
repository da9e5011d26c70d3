// Plates as a person at a gate compares them. Pure. The rule for what a plate is stands in the program: src/domain/plate.rs.

/** As the program compares plates: upper case, without blanks, `-` and `.`; Đ is D. */
export const plateKey = (text) => text.toUpperCase().replace(/Đ/g, "D").replace(/[\s.-]/g, "");

/** Whether one sign read wrongly, left out or added makes one of the other. */
export function near(a, b) {
  if (a === b || Math.abs(a.length - b.length) > 1) return false;
  let from = 0;
  while (from < Math.min(a.length, b.length) && a[from] === b[from]) from += 1;
  const [restA, restB] = [a.slice(from), b.slice(from)];
  if (restA.length === restB.length) return restA.slice(1) === restB.slice(1);
  return restA.length > restB.length ? restA.slice(1) === restB : restB.slice(1) === restA;
}

/** `view` in parts `[text, differs]`: what is not as in `other` is marked, so that the eye finds it. */
export function differing(view, other) {
  const key = plateKey(other);
  const own = plateKey(view);
  const same = commonSigns(own, key);
  const parts = [];
  let index = 0;
  for (const sign of view) {
    const counts = plateKey(sign) !== "";
    const differs = counts && !same.has(index);
    if (counts) index += 1;
    const last = parts[parts.length - 1];
    if (last && last[1] === differs) last[0] += sign;
    else parts.push([sign, differs]);
  }
  return parts;
}

/** The places in `a` of the longest run of signs it has in common with `b`, in order. */
function commonSigns(a, b) {
  const length = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const found = new Set();
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      found.add(i);
      i += 1;
      j += 1;
    } else if (length[i + 1][j] >= length[i][j + 1]) i += 1;
    else j += 1;
  }
  return found;
}

/** Cars whose series has two letters: companies, projects, diplomats, trial, trailers, special machines. */
const CAR_SERIES = ["LD", "DA", "KT", "NN", "NG", "QT", "CV", "HC", "TD", "RM", "CD", "LB"];

/** `moto` or `car` by the shape of a Vietnamese plate, or null: it does not tell. Motorbikes have a letter and a digit, or two letters. */
export function typeByPlate(text) {
  // Two lines on the plate, and people write it so: "29-X1 7756" has four digits, "29X-177.56" is a car.
  if (/^\s*\d\d[-\s]?[A-Z]\d[-\s.]+\d{4}\s*$/i.test(text)) return "moto";
  const key = plateKey(text);
  const [, letters] = /^\d\d([A-Z]{1,2})\d+$/.exec(key) ?? [];
  if (!letters) return null;
  const digits = key.length - 2 - letters.length;
  if (letters.length === 1) return digits === 6 ? "moto" : digits === 4 || digits === 5 ? "car" : null;
  if (letters === "MD") return "moto";
  if (CAR_SERIES.includes(letters)) return "car";
  return digits === 4 || digits === 5 ? "moto" : null;
}
