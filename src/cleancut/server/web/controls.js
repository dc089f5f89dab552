// @ts-check
/** Controls of the panel: each shows a value of the settings and changes it. */

import { h, icon } from "./dom.js";
import { settings } from "./settings.js";

let numbered = 0;

/**
 * A row of choices of which one is on.
 * @param {{label: string, options: {value: string, words: string, icon?: any, swatch?: string}[],
 *   get: () => string, set: (value: string) => void, kind?: string}} about
 */
export function choice({ label, options, get, set, kind = "segments" }) {
  numbered += 1;
  const name = `choice-${numbered}`;
  const inputs = options.map(({ value }) =>
    h("input", { type: "radio", name, value, onchange: () => set(value) }));
  const rows = options.map((one, place) => {
    const inner = one.icon ? icon(one.icon) : one.swatch && h("span", { class: `swatch ${one.swatch}` });
    return h("label", { class: "option" }, inputs[place], inner, h("span", { class: "word", t: one.words }));
  });
  const node = h("fieldset", { class: kind }, h("legend", { t: label }), h("div", { class: "options" }, rows));
  follow(() => {
    const now = get();
    inputs.forEach((input) => (input.checked = input.value === now));
  });
  return node;
}

/**
 * A switch.
 * @param {{label: string, hint?: string, get: () => boolean, set: (on: boolean) => void}} about
 */
export function toggle({ label, hint, get, set }) {
  const input = h("input", { type: "checkbox", role: "switch", onchange: () => set(input.checked) });
  follow(() => (input.checked = get()));
  return h("label", { class: "switch" },
    h("span", null, h("span", { t: label }), hint && h("small", { t: hint })), input);
}

/**
 * A list to choose from. `fill` gives the options as [value, words or text, group].
 * @param {{label: string, fill: () => {value: string, text: string, group?: string}[],
 *   get: () => string, set: (value: string) => void}} about
 */
export function list({ label, fill, get, set }) {
  numbered += 1;
  const id = `list-${numbered}`;
  const select = h("select", { id, onchange: () => set(select.value) });
  const refill = () => {
    const groups = new Map();
    select.replaceChildren();
    for (const { value, text, group } of fill()) {
      const option = h("option", { value }, text);
      if (!group) select.append(option);
      else {
        if (!groups.has(group)) {
          groups.set(group, h("optgroup", { label: group }));
          select.append(groups.get(group));
        }
        groups.get(group).append(option);
      }
    }
    select.value = get();
  };
  follow(() => (select.value = get()));
  document.addEventListener("language", refill);
  refill();
  const node = h("div", { class: "field" }, h("label", { for: id, t: label }), h("div", { class: "select" }, select, icon("down")));
  return { node, select, refill };
}

/**
 * A slider with its value beside it.
 * @param {{label: string, min: number, max: number, step?: number, unit: string,
 *   get: () => number, set: (value: number) => void}} about
 */
export function slider({ label, min, max, step = 1, unit, get, set }) {
  numbered += 1;
  const id = `slider-${numbered}`;
  const output = h("output", { for: id });
  const input = h("input", { type: "range", id, min, max, step });
  const show = () => (output.textContent = `${input.value}${unit}`);
  input.addEventListener("input", show);
  input.addEventListener("change", () => set(Number(input.value)));
  follow(() => {
    input.value = String(get());
    show();
  });
  return h("div", { class: "field slide" }, h("label", { for: id, t: label }), input, output);
}

/** Run `show` now and whenever the settings change. @param {() => void} show */
export function follow(show) {
  show();
  settings.addEventListener("change", show);
}

