// @ts-check
/** Originals as the browser can show them, and their sizes. */

import { cut } from "./api.js";

/**
 * Find out the size of `item`'s picture, and whether this browser shows it: `url` is set if so.
 * @param {import("./items.js").Item} item
 */
export async function measure(item) {
  if (item.width && item.url) return;
  const url = URL.createObjectURL(item.file);
  const size = await sizeOf(url);
  if (size) item.set({ url, width: size.width, height: size.height });
  else URL.revokeObjectURL(url);
}

/**
 * Have the server read a picture that the browser cannot: its colours, stored in a ZIP.
 * @param {import("./items.js").Item} item
 * @param {AbortSignal} signal
 */
export async function fetchOriginal(item, signal) {
  const fields = { format: "zip", decontaminate: "false", keep_hidden_rgb: "true", quality: "90" };
  const { blob } = await cut({ image: item.file, fields, signal });
  const colours = await storedFile(blob, "color.jpg");
  if (!colours || signal.aborted) return;
  const url = URL.createObjectURL(colours);
  const size = await sizeOf(url);
  if (size) item.set({ url, width: size.width, height: size.height });
  else URL.revokeObjectURL(url);
}

/** The size of the picture at `url`, null where it cannot be shown. @param {string} url */
function sizeOf(url) {
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve({ width: image.naturalWidth, height: image.naturalHeight });
    image.onerror = () => resolve(null);
    image.src = url;
  });
}

/**
 * The file `name` of a ZIP whose files are stored as they are (PKWARE APPNOTE 4.3).
 * @param {Blob} zip
 * @param {string} name
 */
async function storedFile(zip, name) {
  const tail = new DataView(await zip.slice(-22).arrayBuffer());
  if (tail.byteLength < 22 || tail.getUint32(0, true) !== 0x06054b50) return null;
  const start = tail.getUint32(16, true);
  const directory = new DataView(await zip.slice(start).arrayBuffer());
  for (let at = 0; directory.getUint32(at, true) === 0x02014b50; ) {
    const [names, extra, comment] = [28, 30, 32].map((x) => directory.getUint16(at + x, true));
    const bytes = new Uint8Array(directory.buffer, at + 46, names);
    if (new TextDecoder().decode(bytes) === name && !directory.getUint16(at + 10, true)) {
      const place = directory.getUint32(at + 42, true);
      const head = new DataView(await zip.slice(place, place + 30).arrayBuffer());
      const data = place + 30 + head.getUint16(26, true) + head.getUint16(28, true);
      return zip.slice(data, data + directory.getUint32(at + 20, true), "image/jpeg");
    }
    at += 46 + names + extra + comment;
  }
  return null;
}
