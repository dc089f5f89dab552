// @ts-check
/** Downloads exactly as they will be, made once for the same settings. */

import { cut } from "./api.js";
import { isFresh } from "./queue.js";
import { finalFields, settings } from "./settings.js";

/** What a finished matte has decided, and what is done already in the alpha of a cutout. */
const DECIDED = ["model", "refine"];
const DONE = [...DECIDED, "threshold", "shrink", "feather", "keep_largest", "fill_holes"];
/** Bytes of a request. */
let most = 0;

/** How large a request may be. @param {{bytes?: number}} limits */
export function learnLimits({ bytes = 0 }) {
  most = bytes;
}

/** How many finished files of one picture are kept. */
const KEPT = 3;

/** @type {WeakMap<import("./items.js").Item, Map<string, Promise<{blob: Blob, name: string}>>>} */
const made = new WeakMap();
/** Photos and mattes by number, so that they can be part of a key. */
const photos = new WeakMap();
let counted = 0;

/**
 * Whether a download looks different from the cutout on its background.
 * @param {import("./settings.js").Values} chosen
 */
export function framed(chosen) {
  const { canvas, head, sheet, scale, position } = finalFields(chosen);
  return chosen.crop || [canvas, head, sheet, scale, position].some(Boolean);
}

/**
 * The download of `item` in `format` under the settings of now.
 * @param {import("./items.js").Item} item
 * @param {string} [format]
 * @param {AbortSignal} [signal]
 * @returns {Promise<{blob: Blob, name: string}>}
 */
export function finalOf(item, format = settings.format, signal = undefined) {
  const chosen = settings.all;
  const name = `${tame(stem(item.name))}.${format}`;
  const { cutout } = item;
  const plain = format === "png" && chosen.background.kind === "checker" && !framed(chosen);
  if (plain && cutout && isFresh(item)) return Promise.resolve({ blob: cutout, name });
  const known = made.get(item) ?? new Map();
  made.set(item, known);
  const key = keyOf(item, chosen, format);
  const there = known.get(key);
  if (there) return there;
  const making = make(item, chosen, format, signal).then(({ blob, facts }) => {
    item.set({ finalProblem: null, finalFacts: facts });
    return { blob, name };
  });
  known.set(key, making);
  if (known.size > KEPT) known.delete(known.keys().next().value);
  making.catch((error) => {
    known.delete(key);
    if (error.code) item.set({ finalProblem: error, finalFacts: null });
  });
  return making;
}

async function make(item, chosen, format, signal) {
  const fields = finalFields(chosen, format);
  /** @type {Record<string, Blob>} */
  const files = {};
  const seen = holdsMatte(item, chosen);
  if (seen) files.matte = item.cutout;
  else if (item.matte) files.matte = item.matte;
  for (const name of seen ? DONE : item.matte ? DECIDED : []) delete fields[name];
  if (chosen.background.kind === "photo") files.background_image = chosen.background.value;
  return cut({ image: item.file, fields, files, signal });
}

/**
 * Whether the cutout's alpha is the matte of a download: what is seen is had, and without a network.
 * Not with a shadow, which is in it; nor where the picture may have an alpha of its own.
 */
function holdsMatte(item, { shadow }) {
  const fits = item.cutout && item.cutout.size + item.file.size < most * 0.9;
  return fits && shadow === "none" && item.file.type === "image/jpeg" && isFresh(item);
}

function keyOf(item, chosen, format) {
  const photo = chosen.background.kind === "photo" ? numberOf(chosen.background.value) : 0;
  return JSON.stringify([finalFields(chosen, format), photo, numberOf(item.matte ?? null), numberOf(item.cutout)]);
}

function numberOf(blob) {
  if (!blob) return 0;
  if (!photos.has(blob)) photos.set(blob, (counted += 1));
  return photos.get(blob);
}

/**
 * A file's or folder's name that is harmless wherever a ZIP is unpacked: it leads into no other
 * folder, and is what it looks like (no control characters, none that turn the reading direction).
 * @param {string} name
 */
export function tame(name) {
  return name.replace(HARMFUL, "_").replace(/^\.+/, "_").slice(0, LONGEST) || "_";
}

const HARMFUL = /[\\/:*?"<>|\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** Characters of a name. */
const LONGEST = 200;

/** A name without its suffix. @param {string} name */
export function stem(name) {
  return name.replace(/\.[^.]{1,5}$/, "") || name;
}
