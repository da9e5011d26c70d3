// Money that a bank or provider says came in for the car in hand: told at once by the feed, or found when the car is looked up. Which of it
// covers the fee is pure.

import { get, query } from "../lib/api.js";

/** Of these it is not known whether they came, or nothing is left to do about them. */
const ASIDE = ["conflict", "done"];

/** What came in for a car: `{amount, ways}`, `ways` as the exit says them, `[{method, amount, reference}]`; null: nothing. */
export function received(payments) {
  const came = payments.filter(({ state }) => !ASIDE.includes(state));
  if (came.length === 0) return null;
  const ways = came.map(({ method, amount, reference }) => ({ method, amount, reference }));
  return { amount: ways.reduce((sum, one) => sum + one.amount, 0), ways };
}

/** What is still to be taken. */
export const rest = ({ info, received }) => Math.max((info?.fee ?? 0) - (received?.amount ?? 0), 0);

/** So many ways an exit can say, those taken at the gate among them. */
const MOST_WAYS = 8;

/** How the fee is paid, as the exit says it: the ways in which it is `taken` here, the first of which answers for the rest, and what came in; of more than can be said one sum for each way. */
export const paidWith = (received, taken = []) => {
  let came = received?.ways ?? [];
  if (came.length + Math.max(taken.length, 1) > MOST_WAYS) {
    const sums = new Map();
    for (const { method, amount } of came) sums.set(method, (sums.get(method) ?? 0) + amount);
    came = [...sums].map(([method, amount]) => ({ method, amount }));
  }
  const ways = [...taken, ...came];
  return ways.length === 1 ? ways[0] : ways;
};

/** Whether that is all that is due. */
export const covers = ({ info, received }) => Boolean(received && info?.fee > 0 && received.amount >= info.fee);

/** Asks what came in for a stay; null where nothing did, undefined where nobody answers. */
export async function askReceived(stay) {
  const answer = await get(query("/api/payments", { stay })).catch(() => undefined);
  return answer && received(answer.payments);
}
