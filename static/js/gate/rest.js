// No button acts on a car that has not been under the finger for a second. Whatever changes what stands there (a press, a read, a
// timer, another page) makes all buttons rest; a finger that went down before is not counted either.

/** As long as a person needs to see that another car stands there. */
export const REST_MS = 1000;

/** Watches over the buttons in `root`, save those in `free` (a selector). Gives `look(key)`: what stands there now, as a text. */
export function restWhenChanged(root, free) {
  let known = null;
  let sinceMs = 0;
  let timer = 0;
  /** What was there when the finger went down; null: nothing it could mean. */
  let pressed = null;
  const awake = () => performance.now() - sinceMs >= REST_MS;

  const wake = () => {
    root.classList.remove("resting");
    for (const button of root.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  };
  root.addEventListener("pointerdown", () => { pressed = awake() ? known : null; }, true);
  root.addEventListener("click", (event) => {
    if (!event.target.closest("button") || event.target.closest(free)) return;
    // Without a pointer it is the keyboard: there is no finger that went down earlier.
    if (awake() && (event.detail === 0 || pressed === known)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  }, true);

  return (key) => {
    if (key === known) return;
    known = key;
    sinceMs = performance.now();
    root.classList.add("resting");
    for (const button of root.querySelectorAll("button")) if (!button.closest(free)) button.setAttribute("aria-disabled", "true");
    clearTimeout(timer);
    timer = setTimeout(wake, REST_MS);
  };
}
