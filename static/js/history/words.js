// How states and facts are shown.

import { icon } from "../lib/dom.js";
import { hasText, t } from "../lib/texts.js";

export { NOBODY, personName } from "../lib/texts.js";

/** All ways to pay, as the history is asked for them. */
export const METHODS = ["cash", "qr", "card", "transfer", "account", "free", "unsaid"];

/** How it was paid; empty: the gate did not say. */
export const methodName = (method) => t(`common.paid_${method || "unsaid"}`);

/** What a picture shows: gates name it as they like, these in our words. */
export const imageName = (kind) => (hasText(`history.image_${kind}`) ? t(`history.image_${kind}`) : kind);

/** The colour of a status. */
export const kindOf = (status) => (status === "IN" ? "good" : status === "OUT" || status === "VOID" ? "quiet" : "wait");

/** What became of a fact: its picture and its colour. */
export function picture(outcome) {
  switch (outcome) {
    case "opened": return [icon("box-arrow-in-right"), "good"];
    case "closed":
    case "left_alone": return [icon("box-arrow-right"), outcome === "closed" ? "good" : "wait"];
    case "confirmed": return [icon("check-circle"), "plain"];
    case "corrected": return [icon("pencil"), "plain"];
    case "voided":
    case "removed": return [icon("trash"), "bad"];
    case "repeated": return [icon("arrow-repeat"), "plain"];
    case "waits": return [icon("clock-history"), "wait"];
    default: return [icon("exclamation-triangle"), "wait"];
  }
}
