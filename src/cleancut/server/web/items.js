// @ts-check
/** The pictures of this visit, in the order in which they came. */

/**
 * @typedef {"waiting" | "sending" | "working" | "done" | "failed" | "cancelled"} State
 * @typedef {{code: string, text: string}} Note
 * @typedef {{left: number, top: number, width: number, height: number}} Box
 * @typedef {{confidence: number | null, notes: Note[], model: string, width: number,
 *   height: number, box: Box | null, cached: boolean, ms: number}} Facts
 */

let made = 0;

/** One picture and what became of it. "changed" is fired with `detail.names`. */
export class Item extends EventTarget {
  /**
   * @param {File | Blob} file
   * @param {{name?: string, folder?: string}} [about] `folder` is where it was dropped from
   */
  constructor(file, { name, folder = "" } = {}) {
    super();
    made += 1;
    this.id = `p${made}`;
    this.file = file;
    this.name = name ?? /** @type {File} */ (file).name ?? "picture.png";
    this.folder = folder;
    /** @type {string | null} */
    this.url = null;
    this.width = 0;
    this.height = 0;
    /** @type {State} */
    this.state = "waiting";
    this.progress = 0;
    /** @type {Blob | null} */
    this.cutout = null;
    /** @type {string | null} */
    this.cutoutUrl = null;
    /** @type {Facts | null} */
    this.facts = null;
    /** @type {import("./api.js").Problem | null} */
    this.problem = null;
    /** The facts whose doubts the user has put away.
     * @type {Facts | null} */
    this.seen = null;
    /** @type {Blob | null} */
    this.matte = null;
    /** What the cutout was made with, as text. */
    this.madeWith = "";
    this.downloaded = false;
    /** Why the download could not be made, like a portrait without a person.
     * @type {import("./api.js").Problem | null} */
    this.finalProblem = null;
    /** What there is to say about the download that was made last.
     * @type {Facts | null} */
    this.finalFacts = null;
  }

  /**
   * Take on new values, and tell who listens. A new `cutout` gets its own URL.
   * @param {Record<string, any>} values
   */
  set(values) {
    if ("cutout" in values && values.cutout !== this.cutout) {
      if (this.cutoutUrl) URL.revokeObjectURL(this.cutoutUrl);
      this.cutoutUrl = values.cutout ? URL.createObjectURL(values.cutout) : null;
    }
    if ("url" in values && this.url && values.url !== this.url) URL.revokeObjectURL(this.url);
    Object.assign(this, values);
    const detail = { item: this, names: Object.keys(values) };
    this.dispatchEvent(new CustomEvent("changed", { detail }));
    items.dispatchEvent(new CustomEvent("changed", { detail }));
  }

  /** Free the memory of its pictures. */
  release() {
    for (const url of [this.url, this.cutoutUrl]) if (url) URL.revokeObjectURL(url);
    this.url = this.cutoutUrl = this.cutout = this.matte = null;
  }
}

/** All items; fires "added", "removed", "changed" and "selected", each with `detail.item`. */
class Items extends EventTarget {
  /** @type {Item[]} */
  #all = [];
  /** @type {Item | null} */
  #selected = null;

  get selected() {
    return this.#selected;
  }

  get length() {
    return this.#all.length;
  }

  /** @returns {Iterator<Item>} */
  [Symbol.iterator]() {
    return this.#all[Symbol.iterator]();
  }

  /** @param {(item: Item) => boolean} test */
  filter(test) {
    return this.#all.filter(test);
  }

  /** @param {string} id */
  get(id) {
    return this.#all.find((item) => item.id === id) ?? null;
  }

  /** @param {Item[]} added */
  add(...added) {
    this.#all.push(...added);
    for (const item of added) this.#tell("added", item);
    if (!this.#selected && added.length) this.select(added[0]);
  }

  /** @param {Item} item */
  remove(item) {
    const place = this.#all.indexOf(item);
    if (place < 0) return;
    this.#all.splice(place, 1);
    this.#tell("removed", item);
    if (this.#selected === item) {
      this.#selected = null;
      this.select(this.#all[Math.min(place, this.#all.length - 1)] ?? null);
    }
    item.release();
  }

  /** @param {Item | null} item */
  select(item) {
    if (item === this.#selected) return;
    this.#selected = item;
    this.#tell("selected", item);
  }

  /** The item `step` places after the selected one, within the ends. @param {number} step */
  beside(step) {
    const place = this.#selected ? this.#all.indexOf(this.#selected) : -1;
    return this.#all[Math.max(0, Math.min(place + step, this.#all.length - 1))] ?? null;
  }

  #tell(kind, item) {
    this.dispatchEvent(new CustomEvent(kind, { detail: { item } }));
  }
}

export const items = new Items();
