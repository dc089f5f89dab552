// @ts-check
/** What goes out: one file, the clipboard, everything as a ZIP. */

import { follow, slider } from "./controls.js";
import { h, icon, say } from "./dom.js";
import { finalOf, stem, tame } from "./final.js";
import { items } from "./items.js";
import { alarm, announce, notice } from "./notices.js";
import { isOpen } from "./queue.js";
import { explain } from "./reasons.js";
import { LOSSY, settings } from "./settings.js";
import { t } from "./words.js";

const NAMES = { png: "PNG", jpg: "JPG", webp: "WebP", tiff: "TIFF", psd: "PSD", avif: "AVIF" };
/** Problems that the stage and the panel show themselves. */
const TOLD = new Set(["no-person", "many-people"]);
/** Downloads that are made at the same time for a ZIP. */
const AHEAD = 2;

/** @type {AbortController | null} */
let packing = null;

/**
 * @param {HTMLElement} place
 * @param {{writes?: string[]}} told
 */
export function mountDownload(place, { writes = [] }) {
  const formats = Object.keys(NAMES).filter((name) => writes.includes(name));
  if (!formats.includes(settings.format)) settings.set({ format: formats[0] ?? "png" });
  const format = h("select", { id: "format", tLabel: "download.format", onchange: () => settings.set({ format: format.value }) },
    formats.map((name) => h("option", { value: name }, NAMES[name])));
  const main = h("button", { type: "button", class: "primary large", id: "download", onclick: downloadSelected }, icon("download"), h("span", { t: "download.now" }));
  const copy = h("button", { type: "button", class: "large square", id: "copy", tLabel: "download.copy", tTitle: "download.copy", onclick: copySelected }, icon("copy"));
  const all = h("button", { type: "button", class: "wide", id: "download-all", onclick: () => (packing ? packing.abort() : downloadAll()) }, icon("folder"), h("span"));
  const bar = h("progress", { max: 1, value: 0, hidden: true, tLabel: "download.packing" });
  const quality = slider({
    label: "download.quality", min: 30, max: 100, unit: "",
    get: () => settings.quality, set: (value) => settings.set({ quality: value }),
  });
  const about = h("p", { class: "quiet" });
  place.append(quality, about,
    h("div", { class: "row" }, h("div", { class: "select" }, format, icon("down")), main, copy), all, bar);

  const tell = () => {
    const ready = items.filter(isReady);
    const chosen = items.selected;
    format.value = settings.format;
    main.disabled = copy.disabled = !chosen || !isReady(chosen);
    say(main, "label", ["download.one", { format: NAMES[settings.format] }]);
    all.hidden = items.length < 2;
    all.disabled = !packing && ready.length === 0;
    say(all.lastChild, "text", packing ? "download.stop" : ["download.all", { count: ready.length }]);
    quality.hidden = !LOSSY.has(settings.format);
    const words = aboutFormat();
    about.hidden = !words;
    if (words) say(about, "text", words);
  };
  follow(tell);
  for (const kind of ["added", "removed", "selected", "changed"]) items.addEventListener(kind, soon(tell));
  progress = (share) => {
    bar.hidden = share === null;
    if (share !== null) bar.value = share;
    tell();
  };
}

/** @type {(share: number | null) => void} */
let progress = () => {};

/** Download the selected picture. */
export async function downloadSelected() {
  const item = items.selected;
  if (!item || !isReady(item)) return;
  try {
    const { blob, name } = await busily(finalOf(item));
    save(blob, name);
    item.set({ downloaded: true });
    announce(t("download.done", { name }));
  } catch (error) {
    complain(error, item.name);
  }
}

/** Put the selected picture into the clipboard, as PNG. */
export async function copySelected() {
  const item = items.selected;
  if (!item || !isReady(item)) return;
  if (!window.isSecureContext || !window.ClipboardItem) return notice(t("copy.insecure"));
  const made = finalOf(item, "png").then(({ blob }) => blob);
  made.catch(() => {});
  try {
    // Safari wants the promise itself, while the click still counts.
    await busily(navigator.clipboard.write([new ClipboardItem({ "image/png": made })]));
    item.set({ downloaded: true });
    notice(t("copy.done"));
  } catch (error) {
    const problem = await made.then(() => null, (reason) => reason);
    if (problem) complain(problem, item.name);
    else notice(t(error.name === "NotAllowedError" ? "copy.refused" : "copy.failed"), { kind: "error" });
  }
}

/** Download all results in one ZIP. */
export async function downloadAll() {
  const { downloadZip } = await import("./vendor/client-zip.js");
  const chosen = items.filter(isReady);
  packing = new AbortController();
  const failed = [];
  progress(0);
  try {
    const zip = downloadZip(finals(chosen, packing.signal, failed));
    const blob = await zip.blob();
    packing.signal.throwIfAborted();
    if (failed.length < chosen.length) save(blob, `cleancut ${new Date().toISOString().slice(0, 10)}.zip`);
    if (failed.length) notice(t("download.missing", { count: failed.length }), { lines: failed });
    else announce(t("download.done", { name: "ZIP" }));
  } catch (error) {
    if (!packing.signal.aborted) complain(error, "ZIP");
  } finally {
    packing = null;
    progress(null);
  }
}

async function* finals(chosen, signal, failed) {
  const names = new Set();
  const made = chosen.map(() => /** @type {any} */ (null));
  for (let place = 0; place < chosen.length; place += 1) {
    for (let ahead = place; ahead < Math.min(place + AHEAD, chosen.length); ahead += 1) {
      made[ahead] ??= finalOf(chosen[ahead], settings.format, signal);
      made[ahead].catch(() => {});
    }
    const item = chosen[place];
    try {
      const { blob, name } = await made[place];
      signal.throwIfAborted();
      const path = [...item.folder.split("/").filter(Boolean).map(tame), name].join("/");
      yield { name: unused(path, names), input: blob, lastModified: new Date() };
      item.set({ downloaded: true });
    } catch (error) {
      signal.throwIfAborted();
      failed.push(`${item.name}: ${explain(error).title}`);
    }
    made[place] = null;
    progress((place + 1) / chosen.length);
  }
}

/** `name`, or "name (2)" where it is taken. */
function unused(name, names) {
  const suffix = name.slice(stem(name).length);
  let free = name;
  for (let count = 2; names.has(free.toLowerCase()); count += 1) free = `${stem(name)} (${count})${suffix}`;
  names.add(free.toLowerCase());
  return free;
}

/** Whether `item` has a result. @param {import("./items.js").Item} item */
function isReady(item) {
  return Boolean(item.cutout) && !isOpen(item);
}

function aboutFormat() {
  const clear = settings.background.kind === "checker";
  if (settings.format === "jpg" && clear) return "download.jpg";
  return settings.format === "psd" ? "download.psd" : "";
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function complain(error, name) {
  if (error.name === "AbortError") return;
  const { title, advice } = explain(error);
  if (TOLD.has(error.code)) return alarm(`${name}: ${title} ${advice}`);
  notice(`${name}: ${title} ${advice}`, { kind: "error" });
}

async function busily(promise) {
  const button = document.getElementById("download");
  button?.setAttribute("aria-busy", "true");
  try {
    return await promise;
  } finally {
    button?.setAttribute("aria-busy", "false");
  }
}

function soon(act) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      act();
    });
  };
}
