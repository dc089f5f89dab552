// @ts-check
/** Steps that can be undone: the pixels that each one covered, in small cells. */

const CELL = 64;
/** Memory for steps, in bytes; the oldest go first, never the latest. */
const BUDGET = 384 * 1024 * 1024;

/**
 * @typedef {{x: number, y: number, pixels: ImageData}} Cell
 * @typedef {import("./strokes.js").Area} Area
 */

/** One change of a picture. */
export class Step {
  constructor() {
    /** @type {Cell[]} */
    this.cells = [];
    /** Number of the state that is had by swapping. */
    this.state = 0;
  }

  /** Keeps what is in a cell before it is changed. @param {Cell} cell */
  keep({ x, y, pixels }) {
    const copy = new ImageData(new Uint8ClampedArray(pixels.data), pixels.width, pixels.height);
    this.cells.push({ x, y, pixels: copy });
  }

  /** What the cells cover. @returns {Area | null} */
  get area() {
    if (!this.cells.length) return null;
    const x = Math.min(...this.cells.map((cell) => cell.x));
    const y = Math.min(...this.cells.map((cell) => cell.y));
    const right = Math.max(...this.cells.map((cell) => cell.x + cell.pixels.width));
    const bottom = Math.max(...this.cells.map((cell) => cell.y + cell.pixels.height));
    return { x, y, width: right - x, height: bottom - y };
  }

  get bytes() {
    return this.cells.reduce((sum, { pixels }) => sum + pixels.data.length, 0);
  }
}

/** What was done and undone. */
export class History {
  /** @param {number} [budget] bytes */
  constructor(budget = BUDGET) {
    this.budget = budget;
    /** @type {Step[]} */
    this.done = [];
    /** @type {Step[]} */
    this.undone = [];
  }

  /** @param {Step} step */
  push(step) {
    this.undone = [];
    this.done.push(step);
    let bytes = this.done.reduce((sum, each) => sum + each.bytes, 0);
    while (bytes > this.budget && this.done.length > 1) {
      bytes -= /** @type {Step} */ (this.done.shift()).bytes;
    }
  }

  /** The step to take back now. @returns {Step | undefined} */
  undo() {
    const step = this.done.pop();
    if (step) this.undone.push(step);
    return step;
  }

  /** The step to do again now. @returns {Step | undefined} */
  redo() {
    const step = this.undone.pop();
    if (step) this.done.push(step);
    return step;
  }
}

/** The cells of an area. @param {Area} area @returns {Generator<Area>} */
export function* cellsOf({ x, y, width, height }) {
  for (let top = y; top < y + height; top += CELL) {
    for (let left = x; left < x + width; left += CELL) {
      const wide = Math.min(CELL, x + width - left);
      yield { x: left, y: top, width: wide, height: Math.min(CELL, y + height - top) };
    }
  }
}
