// Light or dark as the device is. A plain script, so that it is in force before the first paint.
"use strict";

(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", apply);
  apply();
  // A page in the second language is shown once its texts are there: not first in the other one.
  if (localStorage.getItem("language") === "en") document.documentElement.classList.add("awaiting-texts");
})();
