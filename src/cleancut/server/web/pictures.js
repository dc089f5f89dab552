// @ts-check
/** The pictures of one item, decoded for the stage as they come. */

import { Tiles } from "./tiles.js";

/** What can be shown of an item; fires "change" when there is more. */
export class Pictures extends EventTarget {
  /** @param {import("./items.js").Item} item */
  constructor(item) {
    super();
    this.item = item;
    /** @type {Tiles | null} */
    this.original = null;
    /** @type {Tiles | null} */
    this.cutout = null;
    /** The blob that `cutout` shows, and the URL that `original` shows. */
    this.shown = { cutout: /** @type {Blob | null} */ (null), url: /** @type {string?} */ (null) };
    this.closed = false;
    /** How many pictures are being decoded. */
    this.loading = 0;
    /** Whether the cutout is being retouched: what the server sends has to wait. */
    this.lent = false;
  }

  /** Loads what is new. */
  async update() {
    const { url, cutout } = this.item;
    await Promise.all([
      url !== this.shown.url && this.#load("original", "url", url, () => fromUrl(url)),
      !this.lent && cutout !== this.shown.cutout && this.#load("cutout", "cutout", cutout, () => decode(cutout)),
    ]);
  }

  /** @param {Tiles} tiles takes the place of the cutout until a new one comes */
  putCutout(tiles) {
    if (this.cutout !== tiles) this.cutout?.release();
    this.cutout = tiles;
    this.shown.cutout = this.item.cutout;
  }

  close() {
    this.closed = true;
    this.original?.release();
    this.cutout?.release();
  }

  async #load(name, source, value, open) {
    this.shown[source] = value;
    this.loading += 1;
    let tiles = null;
    try {
      const bitmap = value && (await open());
      tiles = bitmap ? Tiles.of(bitmap) : null;
      bitmap?.close();
    } catch {
      // The item itself says what is wrong with it; a broken picture stays away.
    }
    this.loading -= 1;
    if (this.closed || this.shown[source] !== value) return tiles?.release();
    this[name]?.release();
    this[name] = tiles;
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {Blob | null} blob */
export function decode(blob) {
  return blob && createImageBitmap(blob);
}

/** @param {string | null} url */
async function fromUrl(url) {
  if (!url) return null;
  const image = new Image();
  image.src = url;
  await image.decode();
  return createImageBitmap(image);
}
