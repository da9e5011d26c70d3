// What the driver puts into the hand. Of a fee that is paid in cash: what he gives, and what he gets back. Of one that is paid otherwise: the part that
// is cash. Nothing has to be typed. Pure.

/**
 * `due`: what is still to be taken; `given`: what was typed, null: nothing; `way`: `{method, reference?}`, the one that is chosen. Gives `{ways, taken,
 * says, amount}`: the ways as the exit says them, what they come to, and what is to be said: `change` back, `short` of so much, `rest` by the way that is
 * chosen; null: nothing.
 */
export function inHand({ due, given, way }) {
  const cash = given ?? 0;
  if (given === null || given === due && way.method === "cash") return { ways: [{ ...way, amount: due }], taken: due, says: null, amount: 0 };
  if (cash >= due) return { ways: [{ method: "cash", amount: due }], taken: due, says: cash > due ? "change" : null, amount: cash - due };
  if (way.method === "cash") return { ways: [{ ...way, amount: cash }], taken: cash, says: "short", amount: due - cash };
  if (cash === 0) return { ways: [{ ...way, amount: due }], taken: due, says: null, amount: 0 };
  return { ways: [{ method: "cash", amount: cash }, { ...way, amount: due - cash }], taken: due, says: "rest", amount: due - cash };
}
