// @ts-check
/** Elements made by calls, so that no text of a picture or a server is ever read as HTML. */

import { t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Paths of the icons, on a grid of 24. */
const ICONS = {
  add: "M12 5v14M5 12h14",
  box: "M4 4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M4 8V4M9 12h6",
  brush: "M14 4l6 6-8 8-6-6zM6 12l-2 8 8-2",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 16.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  compare: "M12 3v18M8 7l-5 5 5 5M16 7l5 5-5 5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  down: "M6 9.5l6 6 6-6",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  edges: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
  eraser: "M4 15l9-10 7 6-8 9H8zM9 20h11",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  failed: "M12 3.5l9.5 16.5h-19zM12 10v4.5M12 17.2v.3",
  film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9h4M4 15h4M16 9h4M16 15h4",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  folder: "M3 6h6l2 2.5h10V19H3z",
  globe: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18",
  hair: "M6 20c0-8 2-12 6-16M11 20c0-6 1.5-10 5-14M16 20c0-4 1-7 3-9",
  help: "M9 9.5a3 3 0 1 1 4.2 2.7c-.9.5-1.2 1-1.2 2.3M12 18v.3",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5v.1",
  key: "M8 15a4 4 0 1 1 3.5-6H21v4h-3v3h-4v-3h-2.5A4 4 0 0 1 8 15z",
  matte: "M4 4h16v16H4zM12 4v16M12 8h8M12 12h8M12 16h8",
  minus: "M5 12h14",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  pointer: "M6 4l12 8-6 1.5L9 19z",
  redo: "M19 9H9a5 5 0 0 0 0 10h4M15 5l4 4-4 4",
  reset: "M5 5v5h5M5.5 10A7.5 7.5 0 1 1 5 14",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  theme: "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  undo: "M5 9h10a5 5 0 0 1 0 10h-4M9 5L5 9l4 4",
};

/** @typedef {keyof typeof ICONS} IconName */

/**
 * An element. Props: `on*` are listeners; `class`, `dataset`; `t`, `tTitle`, `tLabel`,
 * `tPlaceholder` are keys of words (or [key, values]) that follow the language; booleans and
 * values that an element has as a property are set as such, everything else as an attribute.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...(Node | string | number | null | undefined | false | Array<any>)} children
 * @returns {any}
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  node.append(...children.flat(9).filter((child) => child != null && child !== false).map(text));
  return node;
}

/**
 * A drawn icon that readers of the screen skip.
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name] ?? ICONS.more);
  drawing.append(path);
  return drawing;
}

/**
 * Say `node`'s words in the language of the page, now and when it changes.
 * @param {Element} node
 * @param {"text" | "title" | "label" | "placeholder"} place
 * @param {string | [string, Record<string, any>]} words
 */
export function say(node, place, words) {
  const said = spoken.get(node) ?? {};
  said[place] = Array.isArray(words) ? words : [words];
  spoken.set(node, said);
  node.setAttribute("data-t", "");
  tell(node, place, said[place]);
}

/** Translate `[data-t="key"]`, `[data-t-label]`, `[data-t-title]` of the page as it was loaded. */
export function adoptWords(root = document) {
  for (const [attribute, place] of Object.entries(PLACES)) {
    for (const node of root.querySelectorAll(`[data-${attribute}]`)) {
      const key = node.getAttribute(`data-${attribute}`);
      if (key) say(node, place, key);
    }
  }
}

/** @type {Record<string, "text" | "title" | "label" | "placeholder">} */
const PLACES = {
  t: "text",
  "t-title": "title",
  "t-label": "label",
  "t-placeholder": "placeholder",
};
const PROPS = { t: "text", tTitle: "title", tLabel: "label", tPlaceholder: "placeholder" };

/** @type {WeakMap<Element, Record<string, any>>} */
const spoken = new WeakMap();

document.addEventListener("language", () => {
  for (const node of document.querySelectorAll("[data-t]")) {
    for (const [place, words] of Object.entries(spoken.get(node) ?? {})) tell(node, place, words);
  }
});

function tell(node, place, [key, values]) {
  const words = t(key, values);
  if (place === "text") node.textContent = words;
  else node.setAttribute(place === "label" ? "aria-label" : place, words);
}

function set(node, name, value) {
  if (value == null) return;
  if (name in PROPS) say(node, PROPS[name], value);
  else if (name === "class") node.className = value;
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name.startsWith("on")) node.addEventListener(name.slice(2).toLowerCase(), value);
  else if (typeof value === "boolean" && !name.startsWith("aria-")) {
    if (name in node) node[name] = value;
    else node.toggleAttribute(name, value);
  } else if (name === "value" || name === "files" || name === "srcObject") node[name] = value;
  else node.setAttribute(name, String(value));
}

function text(child) {
  return child instanceof Node ? child : String(child);
}

/** Whether a key pressed at `target` belongs to a field or a dialog. @param {EventTarget | null} target */
export function isTyping(target) {
  if (!(target instanceof Element)) return false;
  if (document.querySelector("dialog[open]")) return true;
  const field = "input:not([type=radio], [type=checkbox], [type=range]), select, textarea, dialog";
  return Boolean(target.closest(field));
}
