// @ts-check
/** A file of the user's as a bitmap that is not too large, turned as its camera was held. */

/** Pictures with more pixels are made smaller first; canvases of phones end at 16 MP. */
const MOST = matchMedia("(pointer: coarse)").matches ? 16e6 : 50e6;
const MOST_BYTES = 200e6;
const HEIC = ["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"];

/** What is wrong with a file: `key` is that of its words. */
export class Refused extends Error {
  /** @param {string} key @param {Record<string, string>} [values] */
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

/**
 * @param {Blob} file
 * @returns {Promise<{bitmap: ImageBitmap, width: number, height: number, was: [number, number]}>}
 */
export async function opened(file) {
  if (!file.size) throw new Refused("bad.empty");
  if (file.size > MOST_BYTES) throw new Refused("bad.large");
  const head = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  const text = String.fromCharCode(...head);
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const [w, h] = [image.naturalWidth, image.naturalHeight];
    if (!w || !h) throw new Refused("bad.kind");
    const scale = Math.min(1, Math.sqrt(MOST / (w * h)));
    const width = Math.max(1, Math.floor(w * scale)), height = Math.max(1, Math.floor(h * scale));
    const smaller = scale < 1 ? { resizeWidth: width, resizeHeight: height, resizeQuality: "high" } : {};
    const bitmap = await createImageBitmap(image, /** @type {ImageBitmapOptions} */ (smaller));
    return { bitmap, width, height, was: [w, h] };
  } catch (error) {
    if (error instanceof Refused) throw error;
    const heic = text.slice(4, 8) === "ftyp" && HEIC.includes(text.slice(8, 12));
    throw new Refused(heic ? "bad.heic" : "bad.kind");
  } finally {
    URL.revokeObjectURL(url);
  }
}
