// Turning the pages of a list that the server gives page by page, each with the cursor of the next: the buttons #newest, #newer
// and #older in #paging.

import { at } from "./dom.js";

/** `load`: shows the page of `cursor()`, and calls `showNext` with the cursor of the page after it, null if it is the last. */
export function paging(load) {
  /** The cursors of the pages up to this one; the first page has none. */
  let cursors = [""];
  let next = null;
  const turns = {
    newest: () => { cursors = [""]; },
    newer: () => { cursors.pop(); },
    older: () => { cursors.push(next); },
  };
  for (const [button, turn] of Object.entries(turns)) {
    at(button).addEventListener("click", () => {
      turn();
      load();
      at("main").scrollIntoView();
    });
  }
  const isFirst = () => cursors.length === 1;
  return {
    isFirst,
    cursor: () => cursors[cursors.length - 1],
    restart: turns.newest,
    showNext(cursor) {
      next = cursor;
      at("paging").hidden = isFirst() && !next;
      at("newest").disabled = isFirst();
      at("newer").disabled = isFirst();
      at("older").disabled = !next;
    },
  };
}
