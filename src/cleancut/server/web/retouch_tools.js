// @ts-check
/** Tools in the user's hand: brushes, a click on an object, a box. */

import { h } from "./dom.js";
import { coreRadius } from "./strokes.js";

/** Keys that take a tool up. */
export const TOOL_KEYS = { k: "keep", e: "erase", b: "edge", a: "add", d: "drop", x: "box" };
/** Fingers and pens tremble: a move shorter than this is a click, in CSS pixels. */
const STILL = 4;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** The crosshair moves by this with the arrow keys, and by less with Shift; CSS pixels. */
const LEAP = 16;
const NUDGE = 1;

/** @typedef {"keep" | "erase" | "edge" | "add" | "drop" | "box"} ToolName */

/** What a tool needs to know, and what it makes: jobs for the session. */
export class Tools {
  /**
   * @param {HTMLElement} port
   * @param {import("./view.js").View} view
   * @param {{submit: (job: any) => void, repaint: () => void, changed: () => void}} acts
   */
  constructor(port, view, acts) {
    this.port = port;
    this.view = view;
    this.acts = acts;
    /** @type {ToolName} */
    this.name = "keep";
    this.radius = 20;
    this.softness = 0.3;
    /** The stroke that is being drawn. @type {import("./strokes.js").Stroke | null} */
    this.live = null;
    /** Where the last stroke ended. @type {[number, number] | null} */
    this.last = null;
    /** @type {[number, number] | null} */
    this.pointer = null;
    /** @type {[number, number] | null} */
    this.from = null;
    this.core = h("span", { class: "cursor-core" });
    this.cursor = h("div", { class: "cursor", hidden: true }, this.core);
    this.frame = h("div", { class: "cursor-box", hidden: true });
    this.guide = h("div", { class: "cursor-guide", hidden: true });
    this.elements = [this.frame, this.guide, this.cursor];
  }

  get isBrush() {
    return this.name === "keep" || this.name === "erase" || this.name === "edge";
  }

  /** @param {ToolName} name */
  take(name) {
    this.cancel();
    this.name = name;
    this.show();
    this.acts.changed();
  }

  /** @param {number} radius pixels of the picture */
  resize(radius) {
    const most = Math.max(this.view.width, this.view.height) / 4;
    this.radius = Math.min(Math.max(radius, 0.5), Math.max(most, 4));
    this.show();
    this.acts.changed();
  }

  /** @param {number} softness 0..1 */
  soften(softness) {
    this.softness = Math.min(1, Math.max(0, softness));
    this.show();
    this.acts.changed();
  }

  // What handleGestures wants of a tool.

  down(point, event) {
    this.hover(point);
    this.from = point;
    if (!this.isBrush) return;
    const line = event.shiftKey && this.last ? [this.last, point] : [point];
    this.live = this.#stroke(line);
    this.acts.repaint();
  }

  move(points, event) {
    const point = points[points.length - 1];
    this.hover(point);
    if (this.live && !event.shiftKey) {
      this.live.points.push(...points);
      this.acts.repaint();
    }
  }

  up() {
    const { live, from, pointer } = this;
    this.live = this.from = null;
    if (live) {
      this.last = live.points[live.points.length - 1];
      this.acts.submit({ kind: "stroke", stroke: live });
    } else if (from && pointer) {
      this.#place(from, pointer);
    }
    this.show();
  }

  cancel() {
    this.live = this.from = null;
    this.show();
    this.acts.repaint();
  }

  /** @param {[number, number] | null} point in the picture; null when the pointer has left */
  hover(point, shift = false) {
    this.pointer = point;
    this.show(shift);
  }

  /**
   * The crosshair by keyboard: arrows move it, Enter draws or clicks, Shift+Enter draws a line.
   * @param {KeyboardEvent} event
   * @returns {boolean} whether the key was meant for it
   */
  key(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const ratio = this.view.wide / Math.max(1, this.port.clientWidth);
      const step = ((event.shiftKey ? NUDGE : LEAP) * ratio) / this.view.scale;
      const [x, y] = this.pointer ?? this.#middle();
      this.hover([clamp(x + arrow[0] * step, this.view.width), clamp(y + arrow[1] * step, this.view.height)]);
      this.#intoSight();
      return true;
    }
    if (event.key !== "Enter" || event.repeat) return false;
    const at = this.pointer ?? this.#middle();
    if (this.name === "box" && !this.from) {
      this.from = at;
      this.hover(at);
    } else if (this.name === "box") {
      this.up();
    } else {
      this.down(at, event);
      this.up();
    }
    return true;
  }

  /** Puts the cursor in its place. */
  show(shift = false) {
    const { pointer, view } = this;
    const ratio = view.wide / Math.max(1, this.port.clientWidth);
    this.cursor.hidden = !pointer;
    this.guide.hidden = !(shift && pointer && this.last && this.isBrush && !this.live);
    this.frame.hidden = !(this.name === "box" && this.from && pointer);
    if (!pointer) return;
    const place = ([x, y]) => [(view.x + x * view.scale) / ratio, (view.y + y * view.scale) / ratio];
    const [x, y] = place(pointer);
    const wide = this.isBrush ? (2 * this.radius * view.scale) / ratio : 0;
    this.cursor.className = `cursor ${this.name}${wide < 8 ? " cross" : ""}`;
    this.cursor.style.transform = `translate(${x}px, ${y}px)`;
    this.cursor.style.setProperty("--wide", `${Math.max(wide, 8)}px`);
    const stroke = this.#stroke([]);
    this.core.style.setProperty("--core", `${(wide * coreRadius(stroke)) / Math.max(stroke.radius, 0.01)}px`);
    if (!this.frame.hidden) outline(this.frame, place(/** @type {any} */ (this.from)), [x, y]);
    if (!this.guide.hidden) {
      const [ax, ay] = place(/** @type {any} */ (this.last));
      this.guide.style.width = `${Math.hypot(x - ax, y - ay)}px`;
      this.guide.style.transform = `translate(${ax}px, ${ay}px) rotate(${Math.atan2(y - ay, x - ax)}rad)`;
    }
  }

  /** A click or a box that is finished. */
  #place(from, to) {
    const { width, height, scale } = this.view;
    const ratio = this.view.wide / Math.max(1, this.port.clientWidth);
    const [x, y] = [clamp(to[0], width - 1), clamp(to[1], height - 1)];
    if (this.name !== "box") {
      if (to[0] < 0 || to[1] < 0 || to[0] >= width || to[1] >= height) return;
      this.acts.submit({ kind: "object", keep: this.name === "add", point: [x, y] });
      return;
    }
    const [ax, ay] = [clamp(from[0], width), clamp(from[1], height)];
    const [bx, by] = [clamp(to[0], width), clamp(to[1], height)];
    const [left, top] = [Math.floor(Math.min(ax, bx)), Math.floor(Math.min(ay, by))];
    const [right, bottom] = [Math.ceil(Math.max(ax, bx)), Math.ceil(Math.max(ay, by))];
    const box = { x: left, y: top, width: right - left, height: bottom - top };
    const least = (STILL * ratio) / scale;
    if (box.width > least && box.height > least) this.acts.submit({ kind: "box", box });
  }

  /** @returns {import("./strokes.js").Stroke} */
  #stroke(points) {
    const brush = /** @type {import("./strokes.js").Brush} */ (this.isBrush ? this.name : "keep");
    return { brush, radius: this.radius, softness: this.softness, points: [...points] };
  }

  #middle() {
    return this.view.toPicture(this.view.wide / 2, this.view.high / 2);
  }

  /** Moves the view along with a crosshair that leaves it. */
  #intoSight() {
    const { view } = this;
    const [px, py] = /** @type {[number, number]} */ (this.pointer);
    const [x, y] = [view.x + px * view.scale, view.y + py * view.scale];
    const dx = x < 0 ? -x + 40 : Math.min(0, view.wide - x - 40);
    const dy = y < 0 ? -y + 40 : Math.min(0, view.high - y - 40);
    if (dx || dy) view.pan(dx, dy);
    this.show();
  }
}

function outline(element, [ax, ay], [bx, by]) {
  element.style.transform = `translate(${Math.min(ax, bx)}px, ${Math.min(ay, by)}px)`;
  element.style.width = `${Math.abs(ax - bx)}px`;
  element.style.height = `${Math.abs(ay - by)}px`;
}

function clamp(value, most) {
  return Math.min(Math.max(value, 0), most);
}
