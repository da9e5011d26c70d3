// What the person at the gate is told of a car: may it pass, does it owe money, or is something wrong. Pure.

import { covers } from "./received.js";

/**
 * `car`: `{info, done, refused, direction, received}`; `info` as POST /api/edge/detection answers it, `refused`: the code of a refusal.
 * Gives `{tone, says, code}`: `tone` is `good` (may pass), `wait` (owes money), `bad` (problem), `done` or `quiet`; `says`: the
 * end of the key of its text; `code`: what opening all the same would force, null where nothing has to be.
 */
export function verdict({ info, done, refused, direction, received = null }) {
  if (done) return { tone: "done", says: done.action === "ENTRY" ? "opened_entry" : "opened_exit", code: null };
  if (!info) return { tone: "quiet", says: "asking", code: null };
  if (refused) return { tone: "bad", says: refused, code: refused };
  if (direction === "ENTRY") {
    if (info.already_inside) return { tone: "bad", says: "already_inside", code: "already_inside" };
    return { tone: "good", says: info.subscription ? "new_subscribed" : "new", code: null };
  }
  if (!info.already_inside) return { tone: "bad", says: "not_inside", code: "not_inside" };
  if (covers({ info, received })) return { tone: "good", says: "received", code: null };
  if (info.fee > 0) return { tone: "wait", says: "owes", code: null };
  return { tone: "good", says: info.subscription ? "free_subscribed" : "free", code: null };
}
