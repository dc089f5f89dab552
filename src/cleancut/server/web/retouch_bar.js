// @ts-check
/** The retouching tools as buttons and sliders. */

import { h, icon } from "./dom.js";

const TOOLS = [
  ["keep", "brush"],
  ["erase", "eraser"],
  ["edge", "hair"],
  ["add", "pointer"],
  ["drop", "trash"],
  ["box", "box"],
];
/** The size slider goes up by powers, since what matters is the ratio. */
const SMALLEST = 1;

/**
 * @typedef {object} Acts
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {() => void} reset
 * @property {() => void} done
 * @property {(on: boolean) => void} peek
 * @property {(on: boolean) => void} ghost
 */

/** The bar of tools; `show` brings it up to date. */
export class RetouchBar {
  /** @param {import("./retouch_tools.js").Tools} tools @param {Acts} acts */
  constructor(tools, acts) {
    this.tools = tools;
    this.radios = new Map();
    const choices = TOOLS.map(([name, drawing]) => this.#choice(name, drawing));
    const size = (value) => tools.resize(SMALLEST * (this.#largest() / SMALLEST) ** value);
    this.size = slider("brush-size", 1, 0.01, size);
    this.sizeNumber = h("output", { for: "brush-size" });
    this.soft = slider("brush-soft", 100, 5, (value) => tools.soften(value / 100));
    this.softNumber = h("output", { for: "brush-soft" });
    const ghost = () => acts.ghost(this.ghost.checked);
    this.ghost = h("input", { type: "checkbox", role: "switch", onChange: ghost });
    this.ghost.checked = true;
    this.undo = iconButton("undo", "undo", acts.undo);
    this.redo = iconButton("redo", "redo", acts.redo);
    this.reset = iconButton("reset", "reset", acts.reset);
    const done = { class: "primary retouch-done", hidden: true, t: "retouch.done" };
    this.done = h("button", { type: "button", ...done, onClick: acts.done });
    const legend = h("legend", { class: "unseen", t: "retouch.tools" });
    const label = (name, words, extra = "") =>
      h("label", { class: `retouch-slider ${extra}`, for: name }, h("span", { t: words }));
    this.element = h(
      "div",
      { class: "retouch-bar", hidden: true, role: "group", tLabel: "retouch.tools" },
      h("fieldset", { class: "retouch-tools" }, legend, h("div", { class: "view-row" }, choices)),
      h(
        "div",
        { class: "retouch-sliders" },
        [label("brush-size", "retouch.size"), this.size, this.sizeNumber],
        [label("brush-soft", "retouch.softness", "soft"), this.soft, this.softNumber],
      ),
      h(
        "label",
        { class: "retouch-ghost", tTitle: "retouch.ghost.why" },
        [this.ghost, icon("theme"), h("span", { t: "retouch.ghost" })],
      ),
      h("div", { class: "retouch-steps" }, this.undo, this.redo, this.reset, this.#peek(acts)),
    );
  }

  /** @param {import("./retouch_session.js").Session | null} session */
  show(session) {
    const { tools } = this;
    this.element.hidden = this.done.hidden = !session;
    for (const [name, radio] of this.radios) radio.checked = name === tools.name;
    const share = Math.log(tools.radius / SMALLEST) / Math.log(this.#largest() / SMALLEST);
    this.size.value = String(share);
    this.sizeNumber.textContent = `${Math.round(2 * tools.radius)} px`;
    this.soft.value = String(Math.round(tools.softness * 100));
    this.softNumber.textContent = `${Math.round(tools.softness * 100)} %`;
    this.size.disabled = !tools.isBrush;
    this.soft.disabled = tools.name !== "keep" && tools.name !== "erase";
    this.undo.disabled = !session?.canUndo;
    this.redo.disabled = !session?.canRedo;
  }

  #largest() {
    return Math.max(4, Math.max(this.tools.view.width, this.tools.view.height) / 4);
  }

  #choice(name, drawing) {
    const take = () => this.tools.take(name);
    const radio = h("input", { type: "radio", name: "tool", value: name, onChange: take });
    this.radios.set(name, radio);
    const word = h("span", { class: "word", t: `retouch.${name}` });
    const label = { class: `view-choice tool-${name}`, tTitle: `retouch.${name}.why` };
    return h("label", label, radio, icon(drawing), word);
  }

  /** Shows the original as long as it is held down. */
  #peek(acts) {
    const button = iconButton("peek", "eye", () => {});
    const held = (event) => event.key === " " || event.key === "Enter";
    button.addEventListener("pointerdown", () => acts.peek(true));
    for (const kind of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
      button.addEventListener(kind, () => acts.peek(false));
    }
    button.addEventListener("keydown", (event) => held(event) && acts.peek(true));
    button.addEventListener("keyup", (event) => held(event) && acts.peek(false));
    return button;
  }
}

function slider(id, max, step, set) {
  const input = h("input", { type: "range", id, min: 0, max, step });
  input.addEventListener("input", () => set(Number(input.value)));
  return input;
}

function iconButton(name, drawing, act) {
  const words = `retouch.${name}`;
  const about = { class: `plain retouch-${name}`, tLabel: words, tTitle: words };
  return h("button", { type: "button", ...about, onClick: act }, icon(drawing));
}
