// @ts-check
/** Cuts the pictures of the page, two at a time, the one that is looked at first. */

import { cut, Problem } from "./api.js";
import { items } from "./items.js";
import { fetchOriginal, measure } from "./originals.js";
import { cutFields, settings } from "./settings.js";

const AT_ONCE = 2;
/** Changes of settings are taken up when no more come for so long, ms. */
const SETTLED = 250;
/** Without a network, only these change what is made of a finished matte. */
const NEEDS_NETWORK = new Set(["model", "refine"]);

/** @type {Map<import("./items.js").Item, {controller: AbortController, key: string}>} */
const running = new Map();
let megapixels = Infinity;
let timer = 0;

/** Start to work on what is there and what will come. @param {{megapixels?: number}} limits */
export function startQueue(limits) {
  megapixels = limits.megapixels ?? Infinity;
  items.addEventListener("added", pump);
  items.addEventListener("removed", (event) => stop(/** @type {any} */ (event).detail.item));
  items.addEventListener("changed", (event) => {
    const { item, names } = /** @type {any} */ (event).detail;
    if (names.includes("matte") && items.get(item.id)) again(item);
  });
  settings.addEventListener("change", () => {
    clearTimeout(timer);
    timer = setTimeout(settle, SETTLED);
    markStale();
  });
  pump();
}

/** Call the work on `item` off. @param {import("./items.js").Item} item */
export function cancel(item) {
  if (!isOpen(item)) return;
  stop(item);
  item.set({ state: item.cutout ? "done" : "cancelled", progress: 0 });
  pump();
}

/** Call everything off that is not done. */
export function cancelAll() {
  for (const item of [...items].reverse()) cancel(item);
}

/** Try `item` again. @param {import("./items.js").Item} item */
export function retry(item) {
  again(item);
}

/** Try everything again that failed or was called off. */
export function retryAll() {
  for (const item of items) if (item.state === "failed" || item.state === "cancelled") again(item);
}

/** Whether `item` is still to be done. @param {import("./items.js").Item} item */
export function isOpen(item) {
  return item.state === "waiting" || item.state === "sending" || item.state === "working";
}

/** Whether the cutout of `item` is what the settings say. @param {import("./items.js").Item} item */
export function isFresh(item) {
  return item.state === "done" && item.madeWith === JSON.stringify(fieldsFor(item));
}

/** The fields that `item` would be cut with now. @param {import("./items.js").Item} item */
export function fieldsFor(item) {
  const fields = Object.entries(cutFields(settings.all));
  return Object.fromEntries(fields.filter(([name]) => !item.matte || !NEEDS_NETWORK.has(name)));
}

function again(item) {
  stop(item);
  item.set({ state: "waiting", progress: 0, problem: null, madeWith: "" });
  pump();
}

/** What the new settings change waits from now on, so that nobody takes it for the new result. */
function markStale() {
  for (const item of items) {
    const key = running.get(item)?.key ?? (item.state === "done" ? item.madeWith : null);
    if (key === null || key === JSON.stringify(fieldsFor(item))) continue;
    stop(item);
    item.set({ state: "waiting", progress: 0, problem: null });
  }
}

/** The settings have come to rest: what they do not change after all is done. */
function settle() {
  timer = 0;
  for (const item of items) {
    const same = item.cutout && item.madeWith === JSON.stringify(fieldsFor(item));
    if (item.state === "waiting" && same && !running.has(item)) item.set({ state: "done" });
  }
  pump();
}

function stop(item) {
  running.get(item)?.controller.abort();
  running.delete(item);
}

function pump() {
  if (timer) return; // until the settings have come to rest
  while (running.size < AT_ONCE) {
    const waits = (item) => item.state === "waiting" && !running.has(item);
    const { selected } = items;
    const next = selected && waits(selected) ? selected : items.filter(waits)[0];
    if (!next) return;
    const fields = fieldsFor(next);
    const job = { controller: new AbortController(), key: JSON.stringify(fields) };
    running.set(next, job);
    work(next, fields, job).finally(() => {
      if (running.get(next) === job) running.delete(next);
      pump();
    });
  }
}

async function work(item, fields, { controller: { signal }, key }) {
  const files = item.matte ? { matte: item.matte } : {};
  item.set({ state: "sending", progress: 0, problem: null });
  const onProgress = (share, state) => {
    if (!signal.aborted) item.set({ state, progress: share });
  };
  try {
    await measure(item);
    refuseLarge(item);
    if (!item.url) await fetchOriginal(item, signal);
    const image = item.file;
    const done = await cut({ image, fields: { ...fields, format: "png" }, files, signal, onProgress });
    if (signal.aborted) return;
    const { width, height } = done.facts;
    item.set({
      state: "done",
      progress: 1,
      madeWith: key,
      cutout: done.blob,
      facts: item.matte && item.facts ? { ...done.facts, confidence: null } : done.facts,
      downloaded: false,
      ...(item.width ? {} : { width, height }),
    });
  } catch (error) {
    if (signal.aborted) return;
    const problem = error instanceof Problem ? error : new Problem(0, "page", String(error));
    item.set({ state: "failed", progress: 0, problem });
  }
}

function refuseLarge(item) {
  const has = (item.width * item.height) / 1e6;
  if (has <= megapixels) return;
  const detail = `${item.width} x ${item.height} pixels, at most ${megapixels} megapixels are taken`;
  throw new Problem(413, "image-too-large", detail);
}
