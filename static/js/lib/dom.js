// Making and changing elements. Data goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const SPRITE = new URL("../../vendor/bootstrap-icons/sprite.svg", import.meta.url).pathname;

/** The element of that id. */
export const at = (id) => document.getElementById(id);

/**
 * An element: `el("p", {class: "quiet", onclick: f}, "text", child)`. Properties that are null or false are left out; those
 * that begin with `on` are listeners; children that are null or false are left out.
 */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for a part of a drawing. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An icon of the sprite; decoration, hidden from screen readers. */
export function icon(name) {
  return drawIcon(svg("svg", { class: "icon", "aria-hidden": "true" }), name);
}

function drawIcon(element, name) {
  element.replaceChildren(svg("use", { href: `${SPRITE}#${name}` }));
  return element;
}

/** Draws the icons that the HTML names with `data-icon`. */
export function drawIcons(root = document) {
  for (const element of root.querySelectorAll("svg[data-icon]")) drawIcon(element, element.getAttribute("data-icon"));
}

/** Sets the text of an element if it is another one: no needless work for screen readers and layout. */
export function put(element, text) {
  const target = typeof element === "string" ? at(element) : element;
  if (target.textContent !== text) target.textContent = text;
  return target;
}

/**
 * Makes the children of `parent` those of `items`, in their order, and keeps the element of a key that stays, so that focus
 * and selection survive. `make(item)` builds one, `show(element, item)` brings it up to date.
 */
export function keyed(parent, items, keyOf, make, show) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let element = known.get(key);
    known.delete(key);
    if (!element) {
      element = make(item);
      element.dataset.key = key;
    }
    show(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const gone of known.values()) gone.remove();
}

/** A coloured dot with its word: `good`, `wait`, `bad` or `quiet`. The word says it too, for who sees no colours. */
export const state = (kind, text) => el("span", { class: `state ${kind}` }, text);
