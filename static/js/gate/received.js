// Money that a bank or provider says came in for the car in hand: told at once by the feed, or found when the car is looked up. Which of it
// covers the fee is pure.

import { get, query } from "../lib/api.js";

/** What came in for a car, as the exit says it: `{amount, method, reference}`; null: nothing. Of several the last is named. */
export function received(payments) {
  if (payments.length === 0) return null;
  const { method, reference } = payments[payments.length - 1];
  return { amount: payments.reduce((sum, one) => sum + one.amount, 0), method, reference };
}

/** Whether that is all that is due. */
export const covers = ({ info, received }) => Boolean(received && info?.fee > 0 && received.amount >= info.fee);

/** Asks what came in for a stay; null where nothing did, or nobody answers. */
export async function askReceived(stay) {
  const answer = await get(query("/api/payments", { stay })).catch(() => null);
  return answer ? received(answer.payments) : null;
}
