// @ts-check
/** The stage's own controls: which view, how close. */

import { h, icon } from "./dom.js";

const VIEWS = [
  ["cutout", "image"],
  ["compare", "compare"],
  ["matte", "matte"],
  ["edges", "edges"],
  ["original", "eye"],
  ["result", "check"],
];

/**
 * Radio buttons for the views; `set(name)` is called with the chosen one.
 * @param {(name: string) => void} set
 */
export function viewSwitch(set) {
  const inputs = new Map();
  const labels = VIEWS.map(([name, drawing]) => {
    const input = h("input", { type: "radio", name: "view", value: name, onChange: () => set(name) });
    inputs.set(name, input);
    const word = h("span", { class: "word", t: `stage.view.${name}` });
    const label = { class: "view-choice", tTitle: `stage.view.${name}.why` };
    return h("label", label, input, icon(/** @type {any} */ (drawing)), word);
  });
  const legend = h("legend", { class: "unseen", t: "stage.views" });
  const element = h("fieldset", { class: "views" }, legend, h("div", { class: "view-row" }, labels));
  return {
    element,
    /** @param {string} chosen @param {Record<string, boolean>} usable */
    show(chosen, usable) {
      for (const [name, input] of inputs) {
        input.checked = name === chosen;
        input.disabled = !usable[name];
        if (name === "result") input.parentElement.hidden = !usable.result;
      }
    },
  };
}

/**
 * Buttons that zoom, and how close it is.
 * @param {import("./view.js").View} view
 */
export function zoomControls(view) {
  const button = (name, content, act, extra = "") => {
    const words = { tLabel: `stage.zoom.${name}`, tTitle: `stage.zoom.${name}` };
    return h("button", { type: "button", class: `plain ${extra}`, ...words, onClick: act }, content);
  };
  const number = h("output", { class: "zoom-number" });
  const show = () => {
    const percent = view.scale * 100;
    number.textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  };
  view.addEventListener("change", show);
  show();
  return h(
    "div",
    { class: "zoom", role: "group", tLabel: "stage.zoom" },
    button("out", icon("minus"), () => view.step(-1)),
    button("full", number, () => view.zoomTo(1), "zoom-readout"),
    button("in", icon("add"), () => view.step(1)),
    button("fit", icon("fit"), () => view.fit()),
  );
}
