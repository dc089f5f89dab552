// @ts-check
/** How pictures come in: dropped (also as folders), pasted, picked, taken; checked before upload. */

import { openCamera } from "./camera.js";
import { h, icon } from "./dom.js";
import { Item, items } from "./items.js";
import { notice } from "./notices.js";
import { language, t } from "./words.js";

/** Suffixes of what lies beside pictures in folders, and is passed over without a word. */
const PICTURE = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic|heif|svg|psd|raw|cr2|cr3|nef|arw|dng)$/i;

const ORDER = new Intl.Collator(undefined, { numeric: true });

/** Videos, also where the browser does not know their type; and pictures that may move. */
const VIDEO = /\.(mp4|m4v|mov|mkv|webm|avi|wmv|flv|mpe?g|ts|mts|m2ts|3gp|ogv)$/i;
const ANIMATION = /\.(gif|a?png|webp)$/i;

/** @type {{limits: Record<string, number>, reads: any[]}} */
let takes = { limits: {}, reads: [] };
/** What is done with a video; null where the server takes none. @type {((file: File) => void) | null} */
let onVideo = null;
/** @type {HTMLInputElement} */
let picker;
/** @type {HTMLInputElement} */
let folderPicker;

/**
 * Fill the drop area and listen for drops and pastes on the whole page.
 * @param {HTMLElement} area
 * @param {any} told what `/v1/about` said
 * @param {(file: File) => void} openVideo
 */
export function mountIntake(area, told, openVideo) {
  onVideo = told.video ? openVideo : null;
  takes = { limits: told.limits ?? {}, reads: told.reads ?? [] };
  const kinds = takes.reads.flatMap(({ types, suffixes }) => [...types, ...suffixes]);
  const accept = (kinds.length && onVideo ? [...kinds, "video/*", ".mkv", ".mts"] : kinds).join(",");
  picker = fileInput({ multiple: true, accept: accept || "image/*", id: "pick" });
  folderPicker = fileInput({ multiple: true, webkitdirectory: true, id: "pick-folder" });
  const veil = h("div", { class: "veil", "aria-hidden": "true" }, icon("download"), h("p", { t: "drop.now" }));
  document.body.append(picker, folderPicker, veil);
  area.append(invitation());
  listen();
}

/** Let the user pick files. */
export function pick() {
  picker.click();
}

/** Let the user pick a folder. */
export function pickFolder() {
  folderPicker.click();
}

/** Let the user take a picture. */
export function takePicture() {
  openCamera((file) => take([{ file, folder: "" }]));
}

/** What is taken, in a line. */
export function limitsLine() {
  const names = takes.reads.map(({ name }) => name).join(" · ");
  const { bytes, megapixels } = takes.limits;
  return { names, size: bytes ? t("drop.limits", { size: sizeText(bytes), pixels: pixelsText(megapixels) }) : "" };
}

/**
 * Add files as items; those that the server would refuse are told with the reason.
 * @param {{file: File, folder: string}[]} found
 */
export async function take(found) {
  if (onVideo) {
    const [clip] = await clipsOf(found);
    if (clip) onVideo(clip);
    if (clip && found.length === 1) return;
  }
  takePictures(onVideo ? found.filter(({ file }) => !isVideo(file)) : found);
}

/** Add a file as a picture, whether it moves or not. @param {File} file */
export function takeStill(file) {
  takePictures([{ file, folder: "" }]);
}

function isVideo(file) {
  return file.type.startsWith("video/") || VIDEO.test(file.name);
}

/** The videos among `found`; an animation is one if it came alone. */
async function clipsOf(found) {
  const clips = found.map(({ file }) => file).filter(isVideo);
  if (clips.length || found.length !== 1 || !ANIMATION.test(found[0].file.name)) return clips;
  const head = new TextDecoder("latin1").decode(await found[0].file.slice(0, 4096).arrayBuffer());
  const moves =
    (head.startsWith("GIF8") && /NETSCAPE2\.0|ANIMEXTS1\.0/.test(head)) ||
    (head.startsWith("\x89PNG") && head.includes("acTL")) ||
    (head.startsWith("RIFF") && head.slice(8, 64).includes("ANIM"));
  return moves ? [found[0].file] : [];
}

function takePictures(found) {
  const refused = [];
  const good = [];
  for (const { file, folder } of found) {
    if (folder && !PICTURE.test(file.name) && !file.type.startsWith("image/")) continue;
    const why = reasonAgainst(file);
    if (why) refused.push(`${file.name}: ${why}`);
    else good.push(new Item(file, { name: file.name, folder }));
  }
  // Folders are listed in the order of the disk.
  if (found.some(({ folder }) => folder)) good.sort((one, other) => ORDER.compare(placeOf(one), placeOf(other)));
  items.add(...good);
  if (good.length && items.length > good.length) items.select(good[0]);
  if (refused.length) notice(t("intake.refused", { count: refused.length }), { lines: refused });
  else if (!good.length) notice(t("intake.nothing"), {});
}

function invitation() {
  const names = h("p", { class: "kinds" });
  const size = h("p", { class: "quiet" });
  const tell = () => {
    const line = limitsLine();
    names.textContent = line.names;
    size.textContent = line.size;
  };
  document.addEventListener("language", tell);
  tell();
  const folders = "webkitdirectory" in picker;
  const touch = matchMedia("(pointer: coarse)").matches;
  return h("div", { class: "invitation" },
    h("div", { class: "art", "aria-hidden": "true" }, h("div", { class: "leaf back" }), h("div", { class: "leaf front" }, icon("image"))),
    h("h2", { t: touch ? "drop.title.touch" : "drop.title" }),
    h("p", { class: "lead", t: touch ? "drop.lead.touch" : "drop.lead" }),
    h("div", { class: "row" },
      h("button", { type: "button", class: "primary large", id: "choose", onclick: pick }, icon("add"), h("span", { t: "drop.pick" })),
      folders && h("button", { type: "button", class: "large desktop", onclick: pickFolder }, icon("folder"), h("span", { t: "drop.folder" })),
      h("button", { type: "button", class: "large", onclick: takePicture }, icon("camera"), h("span", { t: "drop.camera" })),
    ),
    names, size,
    h("p", { class: "quiet", t: "drop.private" }),
  );
}

function fileInput(props) {
  const input = h("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true", ...props });
  input.addEventListener("change", () => {
    take([...input.files].map((file) => ({ file, folder: folderOf(file.webkitRelativePath) })));
    input.value = "";
  });
  return input;
}

function listen() {
  let depth = 0;
  const shown = (on) => document.documentElement.classList.toggle("dropping", on);
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (hasFiles(event)) shown((depth += 1) > 0);
  });
  addEventListener("dragleave", (event) => {
    if (hasFiles(event)) shown((depth = Math.max(0, depth - 1)) > 0);
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    shown(false);
    take(await dropped(/** @type {DataTransfer} */ (event.dataTransfer)));
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files.map((file) => ({ file: named(file), folder: "" })));
  });
}

/** A pasted picture is called image.png by every browser; the time tells them apart. */
function named(file) {
  if (!/^image\.\w+$/.test(file.name)) return file;
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  return new File([file], file.name.replace("image", `pasted ${time}`), { type: file.type });
}

/** Files of a drop with the folders that they lay in. @param {DataTransfer} transfer */
async function dropped(transfer) {
  const entries = [...transfer.items].map((one) => one.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) {
    return [...transfer.files].map((file) => ({ file, folder: "" }));
  }
  const found = [];
  for (const entry of entries) if (entry) await gather(entry, found);
  return found;
}

async function gather(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((good) => entry.file(good, () => good(null)));
    if (file) found.push({ file, folder: folderOf(entry.fullPath.slice(1)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // Readers give a hundred entries at a time, and none at the end.
    const part = await new Promise((good) => reader.readEntries(good, () => good([])));
    if (!part.length) return;
    for (const one of part) await gather(one, found);
  }
}

function placeOf({ folder, name }) {
  return `${folder}/${name}`;
}

function folderOf(path = "") {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

function reasonAgainst(file) {
  const { bytes } = takes.limits;
  if (!file.size) return t("intake.empty");
  if (bytes && file.size > bytes) {
    return t("intake.large", { size: sizeText(file.size), limit: sizeText(bytes) });
  }
  const name = file.name.toLowerCase();
  const known = takes.reads.some(
    ({ types, suffixes }) => types.includes(file.type) || suffixes.some((end) => name.endsWith(end)),
  );
  if (known || !takes.reads.length) return "";
  return t("intake.type", { names: takes.reads.map((one) => one.name).join(", ") });
}

/** Chinese counts pixels by ten thousands. */
function pixelsText(megapixels) {
  return t("drop.pixels", { count: megapixels * (language() === "zh" ? 100 : 1) });
}

/** Bytes for people. @param {number} bytes */
export function sizeText(bytes) {
  const unit = bytes < 1e6 ? "kilobyte" : "megabyte";
  const value = bytes / (bytes < 1e6 ? 1e3 : 1 << 20);
  const digits = value < 10 ? 1 : 0;
  const style = { style: "unit", unit, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language(), /** @type {any} */ (style)).format(value);
}
