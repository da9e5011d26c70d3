// A list that got no answer is asked for again by itself: nobody should have to reload a page after an outage.

import { freshness, watch } from "./feed.js";

const PAUSE_MS = 5000;

/**
 * Gives `heard(error)`, to be called with what each question failed with, or without anything once it is answered. Calls `ask()` some
 * seconds after a failure that may pass, and at once when the central is heard again: much may have happened meanwhile.
 */
export function askingAgain(ask) {
  let timer = 0;
  let wasLost = false;
  const again = () => {
    clearTimeout(timer);
    timer = 0;
    ask();
  };
  watch(["freshness"], () => {
    const { state } = freshness();
    if (state === "live" && (wasLost || timer)) again();
    wasLost = state === "lost";
  });
  return (error) => {
    clearTimeout(timer);
    timer = error && (error.status === 0 || error.status >= 500) ? setTimeout(again, PAUSE_MS) : 0;
  };
}
