// @ts-check
/** A matte in the making: strokes go to the server in order, its answers into the picture. */

import { cut } from "./api.js";
import { cellsOf, History, Step } from "./history.js";
import { bmp, png } from "./png.js";
import { blocksOf, boundsOf, marksOf, scribblesOf, surroundings } from "./strokes.js";
import { Tiles } from "./tiles.js";

/**
 * @typedef {import("./strokes.js").Stroke} Stroke
 * @typedef {import("./strokes.js").Area} Area
 * @typedef {{kind: "stroke", stroke: Stroke}
 *   | {kind: "object", keep: boolean, point: [number, number]}
 *   | {kind: "box", box: Area}
 *   | {kind: "automatic"}} Job
 */

/** Whether the server is on this machine, where packing pictures takes longer than sending them. */
const NEAR = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);

/** Fires "change" when pixels or steps changed, and "problem" with `detail.error`. */
export class Session extends EventTarget {
  /**
   * @param {import("./items.js").Item} item
   * @param {Tiles} original
   * @param {Tiles} cutout its alpha is the matte; this session changes it
   * @param {Record<string, string>} fields what a network is asked with
   */
  constructor(item, original, cutout, fields) {
    super();
    this.item = item;
    this.original = original;
    this.cutout = cutout;
    this.fields = fields;
    this.width = cutout.width;
    this.height = cutout.height;
    /** The matte, a byte a pixel. */
    this.matte = cutout.alpha();
    this.history = new History();
    /** Jobs in order; the first is under way. @type {Job[]} */
    this.pending = [];
    /** Numbers of states: the one that is seen, the first one, those that a network made. */
    this.state = 0;
    this.automatic = new Set(item.matte ? [] : [0]);
    this.states = 0;
    /** @type {AbortController | null} */
    this.request = null;
    /** @type {Promise<void>} */
    this.working = Promise.resolve();
  }

  /** Has a job done after those that wait. @param {Job} job */
  submit(job) {
    if (job.kind === "stroke" && !boundsOf(job.stroke, this.width, this.height)) return;
    this.pending.push(job);
    this.#changed();
    if (this.pending.length === 1) this.working = this.#work();
  }

  get canUndo() {
    return this.pending.length > 0 || this.history.done.length > 0;
  }

  get canRedo() {
    return this.pending.length === 0 && this.history.undone.length > 0;
  }

  /** Takes the last step back; one that is under way is called off. */
  undo() {
    if (this.pending.length) {
      if (this.pending.length === 1) this.request?.abort();
      else this.pending.pop();
    } else {
      const step = this.history.undo();
      if (step) this.#swap(step);
    }
    this.#changed();
  }

  /** Does the step again that was taken back last. */
  redo() {
    const step = this.canRedo ? this.history.redo() : undefined;
    if (step) this.#swap(step);
    this.#changed();
  }

  /** Waits for the server, and gives the item the matte that was made. */
  async finish() {
    await this.working;
    if (this.state === 0) return;
    const automatic = this.automatic.has(this.state);
    const matte = automatic ? null : await png(this.matte, this.width, this.height, 1);
    if (matte || this.item.matte) this.item.set({ matte });
  }

  /** Calls everything off that is not done. */
  abandon() {
    this.pending.splice(1);
    this.request?.abort();
  }

  async #work() {
    while (this.pending.length) {
      const [job] = this.pending;
      const step = new Step();
      this.request = new AbortController();
      try {
        await this.#do(job, step, this.request.signal);
        step.state = this.state;
        this.state = this.states += 1;
        if (job.kind === "automatic") this.automatic.add(this.state);
        this.history.push(step);
      } catch (error) {
        this.#swap(step, false);
        if (!this.request.signal.aborted) this.#tell(error, job);
      }
      this.pending.shift();
      this.#changed();
    }
  }

  /** @param {Job} job @param {Step} step @param {AbortSignal} signal */
  async #do(job, step, signal) {
    const image = this.item.file;
    if (job.kind === "stroke") return this.#stroke(job.stroke, step, signal);
    /** @type {Record<string, string>} */
    let fields = { ...this.fields, format: "png" };
    /** @type {Record<string, Blob>} */
    let files = {};
    if (job.kind === "object") {
      const point = job.point.map((value) => value.toFixed(1)).join(",");
      fields = { [job.keep ? "keep_points" : "remove_points"]: point, format: "png" };
      files = { matte: await png(this.matte, this.width, this.height, 1) };
    } else if (job.kind === "box") {
      const { x, y, width, height } = job.box;
      fields.keep_box = [x, y, x + width, y + height].join(",");
    }
    const { blob } = await cut({ image, fields, files, signal });
    await this.#replace(blob, step);
    signal.throwIfAborted();
  }

  /** Solves a stroke block by block, each on the newest matte. */
  async #stroke(stroke, step, signal) {
    const started = performance.now();
    const bounds = boundsOf(stroke, this.width, this.height);
    for (const block of bounds ? blocksOf(bounds) : []) {
      const seen = surroundings(block, this.width, this.height);
      const marks = marksOf(stroke, seen);
      if (!anyIn(marks, seen, block)) continue;
      const { width, height } = seen;
      const colours = this.original.read(seen.x, seen.y, width, height);
      const [image, matte, scribbles] = await Promise.all([
        NEAR ? bmp(colours) : png(withoutAlpha(colours.data), width, height, 3),
        png(this.#matteOf(seen), width, height, 1),
        png(scribblesOf(marks, stroke.brush), width, height, 3),
      ]);
      const files = { matte, scribbles };
      const { blob } = await cut({ image, fields: { format: "png" }, files, signal });
      const answer = await pixelsOf(blob);
      signal.throwIfAborted();
      this.#paste(answer, marks, seen, block, step);
      this.#changed();
    }
    performance.measure("cleancut.stroke", { start: started });
  }

  /** Puts the marked pixels of an answer in their place. */
  #paste(answer, marks, seen, block, step) {
    for (const cell of cellsOf(block)) {
      if (!anyIn(marks, seen, cell)) continue;
      const pixels = this.cutout.read(cell.x, cell.y, cell.width, cell.height);
      step.keep({ x: cell.x, y: cell.y, pixels });
      for (let row = 0; row < cell.height; row += 1) {
        let from = (cell.y - seen.y + row) * seen.width + cell.x - seen.x;
        let to = row * cell.width;
        for (let column = 0; column < cell.width; column += 1, from += 1, to += 1) {
          if (!marks[from]) continue;
          pixels.data.set(answer.data.subarray(from * 4, from * 4 + 4), to * 4);
        }
      }
      this.#write(cell.x, cell.y, pixels);
    }
    this.cutout.refresh(block);
  }

  /** Takes a whole new cutout, where it differs. @param {Blob} blob @param {Step} step */
  async #replace(blob, step) {
    const bitmap = await createImageBitmap(blob);
    const next = Tiles.of(bitmap);
    bitmap.close();
    const alpha = next.alpha();
    const whole = { x: 0, y: 0, width: this.width, height: this.height };
    for (const cell of cellsOf(whole)) {
      if (!this.#differs(alpha, cell)) continue;
      const before = this.cutout.read(cell.x, cell.y, cell.width, cell.height);
      step.keep({ x: cell.x, y: cell.y, pixels: before });
      this.#write(cell.x, cell.y, next.read(cell.x, cell.y, cell.width, cell.height));
    }
    next.release();
    this.cutout.refresh(whole);
  }

  /** @param {Uint8Array} alpha @param {Area} cell */
  #differs(alpha, cell) {
    for (let row = cell.y; row < cell.y + cell.height; row += 1) {
      const start = row * this.width + cell.x;
      for (let at = start; at < start + cell.width; at += 1) {
        if (alpha[at] !== this.matte[at]) return true;
      }
    }
    return false;
  }

  /** Exchanges the pixels of a step for those that are seen. */
  #swap(step, states = true) {
    for (const cell of step.cells) {
      const { width, height } = cell.pixels;
      const seen = this.cutout.read(cell.x, cell.y, width, height);
      this.#write(cell.x, cell.y, cell.pixels);
      cell.pixels = seen;
    }
    const area = step.area;
    if (area) this.cutout.refresh(area);
    if (states) [this.state, step.state] = [step.state, this.state];
  }

  /** @param {number} x @param {number} y @param {ImageData} pixels */
  #write(x, y, pixels) {
    this.cutout.write(x, y, pixels);
    const { width, height, data } = pixels;
    for (let row = 0; row < height; row += 1) {
      let to = (y + row) * this.width + x;
      let from = row * width * 4 + 3;
      for (let column = 0; column < width; column += 1, to += 1, from += 4) {
        this.matte[to] = data[from];
      }
    }
  }

  /** @param {Area} area */
  #matteOf({ x, y, width, height }) {
    const part = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) {
      const from = (y + row) * this.width + x;
      part.set(this.matte.subarray(from, from + width), row * width);
    }
    return part;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #tell(error, job) {
    this.dispatchEvent(new CustomEvent("problem", { detail: { error, job } }));
  }
}

/** Whether there is a mark in `part` of what `marks` covers. */
function anyIn(marks, seen, part) {
  for (let row = 0; row < part.height; row += 1) {
    const start = (part.y - seen.y + row) * seen.width + part.x - seen.x;
    for (let at = start; at < start + part.width; at += 1) if (marks[at]) return true;
  }
  return false;
}

function withoutAlpha(rgba) {
  const out = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    out[to] = rgba[from];
    out[to + 1] = rgba[from + 1];
    out[to + 2] = rgba[from + 2];
  }
  return out;
}

/** @param {Blob} blob @returns {Promise<ImageData>} */
async function pixelsOf(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const ctx = /** @type {any} */ (canvas.getContext("2d", { willReadFrequently: true }));
  ctx.drawImage(bitmap, 0, 0);
  bitmap.close();
  return ctx.getImageData(0, 0, canvas.width, canvas.height);
}
