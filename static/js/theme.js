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
  // What makes the page alive is asked for once it was painted: beside each other the two would take the processor from each other.
  const { src, dataset } = document.currentScript;
  const askTexts = () => {
    for (const part of ["common", dataset.page]) {
      const href = new URL(`../i18n/${language}/${part}.json`, src).href;
      document.head.append(Object.assign(document.createElement("link"), { rel: "preload", as: "fetch", crossOrigin: "anonymous", href }));
    }
  };
  let isAsked = false;
  const liven = () => {
    if (isAsked) return;
    isAsked = true;
    if (language === "vi") askTexts();
    for (const modules of document.querySelectorAll("template.modules")) document.head.append(modules.content);
  };
  // The second language is painted when the modules have put it in.
  if (language === "en") askTexts();
  addEventListener("DOMContentLoaded", () => {
    if (language === "en") return liven();
    requestAnimationFrame(() => setTimeout(liven));
    // What nobody looks at is not painted.
    setTimeout(liven, 500);
  });
})();
