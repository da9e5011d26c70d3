// Light or dark as the device is, and which texts will be asked for. A plain script, so that it is in force before the first
// paint.
"use strict";

(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", apply);
  apply();
  // A page in the second language is shown once its texts are there: not first in the other one.
  const language = localStorage.getItem("language") === "en" ? "en" : "vi";
  if (language === "en") document.documentElement.classList.add("awaiting-texts");
  // Of 2021 at the least: older ones would show a page that does nothing.
  // Written so that they understand it.
  const chromium = /Chrom(?:e|ium)\/(\d+)/.exec(navigator.userAgent);
  if ((chromium && Number(chromium[1]) < 90) || !("replaceChildren" in Element.prototype)) {
    addEventListener("DOMContentLoaded", () => {
      document.documentElement.classList.remove("awaiting-texts");
      document.getElementById("old-browser").hidden = false;
    });
  }
  // On their way before the modules that ask for them are.
  const { src, dataset } = document.currentScript;
  for (const part of ["common", dataset.page]) {
    const href = new URL(`../i18n/${language}/${part}.json`, src).href;
    const fetchPriority = language === "en" ? "high" : "low";
    document.head.append(Object.assign(document.createElement("link"), { rel: "preload", as: "fetch", crossOrigin: "anonymous", href, fetchPriority }));
  }
})();
