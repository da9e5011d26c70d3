// Light or dark as the device is, and the texts in the language of the reader. A plain script, so that it is in force before the first
// paint.
"use strict";

(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", apply);
  apply();
  // A page in the second language is shown once its texts are there: not first in the other one, and not only when modules are.
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
  const asked = {};
  const textsOf = (part) => {
    if (!asked[part]) {
      asked[part] = fetch(new URL(`../i18n/${language}/${part}.json`, src)).then((answer) => {
        if (!answer.ok) throw new Error(`texts of ${part}: ${answer.status}`);
        return answer.json();
      });
    }
    return asked[part];
  };
  const askTexts = () => Promise.all(["common", dataset.page].map(textsOf));
  // Puts the texts that are known into what has `data-text`, `data-label` (aria-label), `data-title` or `data-placeholder`.
  const translate = (texts) => {
    const put = (attribute, apply) => {
      for (const element of document.querySelectorAll(`[${attribute}]`)) {
        const text = texts[element.getAttribute(attribute)];
        if (text !== undefined) apply(element, text);
      }
    };
    put("data-text", (element, text) => { element.textContent = text; });
    for (const name of ["label", "title", "placeholder"]) put(`data-${name}`, (element, text) => element.setAttribute(name === "label" ? "aria-label" : name, text));
    document.documentElement.lang = language;
  };
  // For js/lib/texts.js.
  window.parkmesh = { textsOf, translate };
  let isAsked = false;
  const liven = () => {
    if (isAsked) return;
    isAsked = true;
    askTexts().catch(() => {});
    for (const modules of document.querySelectorAll("template.modules")) document.head.append(modules.content);
  };
  const known = language === "en" ? askTexts() : null;
  const livenSoon = () => {
    requestAnimationFrame(() => setTimeout(liven));
    // What nobody looks at is not painted.
    setTimeout(liven, 500);
  };
  addEventListener("DOMContentLoaded", () => {
    if (!known) return livenSoon();
    // Without its texts it is shown in the other language.
    known.then((all) => translate(Object.assign({}, ...all))).catch(() => {}).then(() => {
      document.documentElement.classList.remove("awaiting-texts");
      livenSoon();
    });
  });
})();
