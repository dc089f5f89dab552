// @ts-check
/** The page: a picture in by drop, paste or choice, its cutout beside it, and out again. */

import { Cutter } from "./cutter.js";
import { Refused, opened } from "./picture.js";
import { speak, switchLanguage, t } from "./words.js";

/** @param {string} id @returns {any} */
const find = (id) => document.getElementById(id);
const [stage, view, before, after, slider] = ["stage", "view", "before", "after", "slider"].map(find);

export const cutter = new Cutter();
/** What is said where, to say it again in another language. @type {Map<HTMLElement, () => string>} */
const saying = new Map();
/** Only the newest picture is shown. */
let newest = 0;
let name = "cutout";
/** @type {Promise<any>} */
let loaded;

/** @param {HTMLElement} where @param {string} [key] @param {Record<string, any>} [values] */
function say(where, key, values) {
  saying.set(where, () => (key ? t(key, values) : ""));
  where.textContent = saying.get(where)();
}

/** @param {string} [key] @param {Record<string, any>} [values] */
function tell(key, values, bad = false) {
  find("said").classList.toggle("bad", bad);
  say(find("said"), key, values);
}

/** How far the work is: a share, "busy", or null for none. @param {number | "busy" | null} share */
function progress(share) {
  const bar = find("work");
  bar.classList.toggle("still", share === null);
  if (typeof share === "number") bar.value = share;
  else bar.removeAttribute("value");
}

async function load() {
  const mb = (bytes) => (bytes / 1e6).toFixed(1);
  await offline();
  const ready = await cutter.load((done, all) => {
    say(find("state"), all ? "load.part" : "load.open", { done: mb(done), all: mb(all) });
    progress(all ? Math.min(1, done / all) : "busy");
  }, { gpu: !location.search.includes("wasm") });
  say(find("state"), "load.done");
  progress(null);
  document.documentElement.dataset.ready = ready.kind;
  document.documentElement.dataset.threads = ready.threads;
}

/** The service worker keeps every file, so that the next visit needs no network. */
async function offline() {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  try {
    await workers.register("./sw.js");
    if (workers.controller) return;
    const taken = new Promise((resolve) => workers.addEventListener("controllerchange", resolve, { once: true }));
    await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 3000))]);
  } catch {
    // A browser that allows none loads the files each time.
  }
}

/** @param {Blob & {name?: string}} file */
async function take(file) {
  const turn = ++newest;
  document.documentElement.dataset.busy = "";
  tell("working");
  progress("busy");
  const started = performance.now();
  try {
    const { bitmap, width, height, was } = await opened(file);
    if (turn !== newest) return;
    name = (file.name ?? "").replace(/\.[^.]*$/, "") || "cutout";
    show(bitmap, width, height);
    await loaded;
    progress("busy");
    const cut = await cutter.cut(bitmap, width, height);
    if (turn !== newest) return;
    paint(cut);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const mp = (w, h) => ((w * h) / 1e6).toFixed(1);
    if (!cut.matte.some((alpha) => alpha > 0.5)) tell("empty");
    else if (was[0] > width) tell("smaller", { seconds, was: mp(...was), now: mp(width, height) });
    else tell("done", { seconds });
    Object.assign(document.documentElement.dataset, { done: String(turn), network: cut.ms.network, edges: cut.ms.edges });
  } catch (error) {
    if (turn !== newest) return;
    if (error instanceof Refused) tell(error.key, error.values, true);
    else if (document.documentElement.dataset.ready) tell("bad.run", { why: error.message }, true);
  } finally {
    if (turn === newest) {
      delete document.documentElement.dataset.busy;
      if (document.documentElement.dataset.ready) progress(null);
    }
  }
}

/** The picture as it came, before anything is known of it. */
function show(bitmap, width, height) {
  for (const canvas of [before, after]) Object.assign(canvas, { width, height });
  before.getContext("2d").drawImage(bitmap, 0, 0, width, height);
  view.style.setProperty("--aspect", String(width / height));
  fit();
  document.body.classList.add("shown");
  find("drop").hidden = true;
  view.hidden = false;
  compare(100);
  for (const id of ["copy", "save"]) find(id).disabled = true;
}

/** @param {import("./cutter.js").Cut} cut */
function paint({ pixels, width, height }) {
  after.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  compare(0);
  for (const id of ["copy", "save"]) find(id).disabled = false;
}

/** How much of the original is seen, from the left, in percent. @param {number} percent */
function compare(percent) {
  slider.value = String(percent);
  view.style.setProperty("--at", `${percent}%`);
  view.style.setProperty("--part", String(percent / 100));
}

function fit() {
  view.style.setProperty("--room", `${stage.clientHeight}px`);
}

/** The colour behind the subject; "" for none. */
function ground() {
  const chosen = /** @type {HTMLInputElement} */ (document.querySelector("input[name=ground]:checked")).value;
  return chosen === "own" ? find("colour").value : chosen;
}

function setGround() {
  document.documentElement.style.setProperty("--own", find("colour").value);
  if (ground()) view.style.setProperty("--ground", ground());
  else view.style.removeProperty("--ground");
}

/** The cutout as a PNG, over the chosen colour. @returns {Promise<Blob>} */
function png() {
  const canvas = new OffscreenCanvas(after.width, after.height);
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (ground()) {
    pen.fillStyle = ground();
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }
  pen.drawImage(after, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

async function save() {
  const url = URL.createObjectURL(await png());
  Object.assign(document.createElement("a"), { href: url, download: `${name}-cutout.png` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function copy() {
  try {
    // A promise, not a picture: Safari allows copying only at once.
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png() })]);
    tell("copied");
  } catch {
    tell("copy.failed", {}, true);
  }
}

/** @param {DataTransfer | null} data */
function received(data) {
  const file = [...(data?.files ?? [])][0];
  if (file) take(file);
  return Boolean(file);
}

function listen() {
  find("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) take(target.files[0]);
    target.value = "";
  });
  find("another").addEventListener("click", () => find("file").click());
  find("save").addEventListener("click", save);
  find("copy").addEventListener("click", copy);
  find("language").addEventListener("click", () => { switchLanguage(); words(); });
  slider.addEventListener("input", () => compare(Number(slider.value)));
  find("backgrounds").addEventListener("change", setGround);
  find("colour").addEventListener("input", () => {
    /** @type {HTMLInputElement} */ (document.querySelector("input[value=own]")).checked = true;
    setGround();
  });
  addEventListener("paste", (event) => received(event.clipboardData) && event.preventDefault());
  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => { event.preventDefault(); document.body.classList.remove("dropping"); received(event.dataTransfer); });
  new ResizeObserver(fit).observe(stage);
}

function words() {
  speak();
  find("language").textContent = t("other");
  for (const [where, text] of saying) where.textContent = text();
}

words();
listen();
loaded = load();
loaded.catch((error) => {
  progress(null);
  say(find("state"));
  tell("load.failed", { why: error.message }, true);
});
