// @ts-check
/** Before and after: a slider whose thumb is the handle of the dividing line. */

import { h, icon } from "./dom.js";

/** Width of the thumb in CSS pixels; it travels from rim to rim with its middle. */
const THUMB = 44;
/** The line can be taken this far from it, in CSS pixels. */
const NEAR = 10;

/** Left of `share` of the picture is the original, right of it the cutout. */
export class Compare {
  /**
   * @param {HTMLElement} port
   * @param {import("./view.js").View} view
   * @param {() => void} moved
   */
  constructor(port, view, moved) {
    this.port = port;
    this.view = view;
    this.moved = moved;
    this.share = 0.5;
    this.line = h("div", { class: "compare-line" });
    this.range = h("input", {
      class: "compare-range",
      type: "range",
      min: 0,
      max: 100,
      step: "any",
      tLabel: "stage.slider",
      onInput: () => this.#set(Number(this.range.value) / 100),
    });
    this.range.value = "50";
    this.labels = [
      h("span", { class: "compare-label before", t: "stage.before" }),
      h("span", { class: "compare-label after", t: "stage.after" }),
    ];
    this.element = h("div", { class: "compare", hidden: true }, this.line, this.labels, this.range);
    this.element.append(h("span", { class: "compare-grip" }, icon("compare")));
    this.grip = this.element.lastElementChild;
    port.addEventListener("pointerdown", (event) => this.#take(event), { capture: true });
  }

  /** The line in device pixels; also puts the slider in its place. */
  place() {
    const ratio = this.view.wide / Math.max(1, this.port.clientWidth);
    const { left, right, top, bottom } = this.#span();
    const x = left + (right - left) * this.share;
    const css = (value) => `${value / ratio}px`;
    this.line.style.left = css(x);
    this.line.style.top = css(top);
    this.line.style.height = css(bottom - top);
    this.grip.style.left = css(x);
    this.range.style.left = `${left / ratio - THUMB / 2}px`;
    this.range.style.width = `${(right - left) / ratio + THUMB}px`;
    this.labels[0].style.left = css(left);
    this.labels[1].style.right = css(this.view.wide - right);
    for (const label of this.labels) label.style.bottom = css(this.view.high - bottom);
    const wide = (right - left) / ratio;
    this.labels[0].classList.toggle("covered", wide * this.share < 90);
    this.labels[1].classList.toggle("covered", wide * (1 - this.share) < 90);
    return x;
  }

  /** What of the picture is in the window, in device pixels. */
  #span() {
    const { left, right, top, bottom } = this.view.box;
    return {
      left: Math.max(0, left),
      right: Math.max(1, Math.min(this.view.wide, right)),
      top: Math.max(0, top),
      bottom: Math.min(this.view.high, bottom),
    };
  }

  #set(share) {
    this.share = Math.min(1, Math.max(0, share));
    this.range.setAttribute("aria-valuetext", `${Math.round(this.share * 100)} %`);
    this.moved();
  }

  /** A pointer near the line takes it along. */
  #take(event) {
    if (this.element.hidden || event.target === this.range || event.button !== 0) return;
    const box = this.port.getBoundingClientRect();
    const line = this.line.getBoundingClientRect();
    if (Math.abs(event.clientX - line.left) > NEAR) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    this.range.focus({ preventScroll: true, focusVisible: false });
    const ratio = this.view.wide / Math.max(1, this.port.clientWidth);
    const follow = (moved) => {
      const { left, right } = this.#span();
      this.#set(((moved.clientX - box.left) * ratio - left) / (right - left));
      this.range.value = String(this.share * 100);
    };
    this.port.setPointerCapture(event.pointerId);
    this.port.addEventListener("pointermove", follow);
    const end = () => this.port.removeEventListener("pointermove", follow);
    this.port.addEventListener("lostpointercapture", end, { once: true });
  }
}
