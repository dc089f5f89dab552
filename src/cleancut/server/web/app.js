// @ts-check
/** The page: puts its parts together and watches over all of them. */

import * as api from "./api.js";
import { askForKey, keptKey, showShortcuts } from "./dialogs.js";
import { adoptWords, h, icon, isTyping, say } from "./dom.js";
import { copySelected, downloadSelected, mountDownload } from "./download.js";
import { learnLimits } from "./final.js";
import { mountGallery } from "./gallery.js";
import { mountIntake, pick, pickFolder, sizeText, takePicture, takeStill } from "./intake.js";
import { items } from "./items.js";
import { announce, notice } from "./notices.js";
import { mountPanel } from "./panel.js";
import { cancelAll, isOpen, retryAll, startQueue } from "./queue.js";
import { doubts, explain, openDoubts } from "./reasons.js";
import { learnPresets, settings } from "./settings.js";
import { mountStage } from "./stage.js";
import { LANGUAGES, language, setLanguage, t } from "./words.js";

const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const desk = find("desk");

start();

async function start() {
  adoptWords();
  mountTools(find("tools"));
  followTheme();
  api.useKey(keptKey());
  api.askForKeyWith(askAndComplete);
  const asked = askAll();
  const about = (await asked.about) ?? {};
  mountIntake(find("drop"), about, openVideo);
  mountOverall(find("overall"));
  mountGallery(find("gallery"));
  mountStage(find("stage"), { items, settings });
  mountDownload(find("deliver"), about);
  learnLimits(about.limits ?? {});
  followItems();
  listenToKeys();
  fillPanel(await asked.models, await asked.presets);
  startQueue(about.limits ?? {});
  if (about.video) mountModes(about, asked.models);
  document.documentElement.dataset.ready = "";
}

/** Shows pictures or the video. @type {(video: boolean) => Promise<void>} */
let showMode = async () => {};

/** Pictures and video behind two tabs; what is for videos is loaded when it is first wanted. */
function mountModes(about, models) {
  const place = h("main", { id: "video", hidden: true });
  desk.after(place);
  const tab = (name, words, video) =>
    h("button", { type: "button", class: "plain mode", tTitle: words, onclick: () => showMode(video) }, icon(name), h("span", { t: words }));
  const tabs = [tab("image", "mode.pictures", false), tab("film", "mode.video", true)];
  find("modes").append(...tabs);
  /** @type {Promise<any> | null} */
  let mounted = null;
  showMode = async (video) => {
    mounted ??= video ? import("./video/view.js").then(async ({ mountVideo }) =>
      mountVideo(place, { about, models: (await models) ?? [], sizeText, still: (file) => [showMode(false), takeStill(file)] })) : null;
    await mounted;
    desk.hidden = video;
    place.hidden = !video;
    document.documentElement.classList.toggle("film", video);
    tabs.forEach((one, at) => one.setAttribute("aria-pressed", String(video === (at === 1))));
  };
  showMode(false);
  import("./video/task.js").then(async ({ task }) => (await task.resume()) && showMode(true));
}

async function openVideo(file) {
  await showMode(true);
  const { task } = await import("./video/task.js");
  if (!task.busy) task.choose(file);
  else notice(t("mode.busy"), { kind: "error" });
}

/** What the server says about itself; each is null where it cannot be had. */
function askAll() {
  const told = new Set();
  const orNull = (asked) =>
    asked.catch((error) => {
      const { title } = explain(error);
      if (!told.has(title)) notice(title, { kind: "error" });
      told.add(title);
      return null;
    });
  return { about: orNull(api.about()), models: orNull(api.models()), presets: orNull(api.presets()) };
}

/** Whether models and sizes could be listed; they may need a key that comes later. */
let complete = false;

/** @param {any[] | null} models @param {any[] | null} presets */
function fillPanel(models, presets) {
  complete = Boolean(models && presets);
  learnPresets(presets ?? []);
  find("panel").replaceChildren();
  mountPanel(find("panel"), { models: models ?? [{ id: "auto", default: true }], presets: presets ?? [] });
}

async function askAndComplete(wrong) {
  const key = await askForKey(wrong);
  const late = "ready" in document.documentElement.dataset && !complete;
  if (key && late) {
    setTimeout(async () => {
      const { models, presets } = askAll();
      fillPanel(await models, await presets);
    });
  }
  return key;
}

function mountTools(place) {
  const tongue = h("select", { id: "language", tLabel: "tools.language", onchange: () => setLanguage(tongue.value) },
    Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code }, name)));
  tongue.value = language();
  const next = { auto: "light", light: "dark", dark: "auto" };
  const theme = h("button", { type: "button", class: "plain", id: "theme", onclick: () => settings.set({ theme: next[settings.theme] }) });
  const show = () => {
    theme.replaceChildren(icon({ auto: "theme", light: "sun", dark: "moon" }[settings.theme]));
    for (const where of /** @type {const} */ (["label", "title"])) say(theme, where, `theme.${settings.theme}`);
  };
  show();
  settings.addEventListener("change", show);
  const tool = (name, words, act, extra = "") =>
    h("button", { type: "button", class: `plain ${extra}`, tLabel: words, tTitle: words, onclick: act }, icon(name));
  place.append(
    tool("folder", "drop.folder", pickFolder, "busy-only desktop"),
    tool("camera", "drop.camera", takePicture, "busy-only"),
    h("div", { class: "select slim tongue" }, icon("globe"), tongue, icon("down")), theme,
    tool("help", "keys.title", showShortcuts, "desktop"));
}

function followTheme() {
  const show = () => (document.documentElement.dataset.theme = settings.theme);
  show();
  settings.addEventListener("change", show);
}

function mountOverall(place) {
  const words = h("span");
  const bar = h("progress", { max: 1, value: 0, tLabel: "overall.label" });
  const stop = h("button", { type: "button", class: "small stop", onclick: cancelAll, t: "overall.cancel" });
  const again = h("button", { type: "button", class: "small again", onclick: retryAll, t: "overall.retry" });
  const look = h("button", { type: "button", class: "small look", onclick: nextDoubt }, icon("failed"), h("span"));
  place.append(bar, words, stop, again, look);
  const tell = () => {
    const all = [...items];
    const open = all.filter(isOpen).length;
    const failed = all.filter(({ state }) => state === "failed" || state === "cancelled").length;
    const done = all.length - open;
    const count = all.length > 1 ? all.filter(isDoubtful).length : 0;
    place.hidden = all.length === 0 || (open === 0 && failed === 0 && count === 0);
    words.hidden = open === 0 && failed === 0;
    look.hidden = count === 0;
    look.dataset.count = String(count);
    for (const [node, where] of [[look, "label"], [look.lastChild, "text"]]) say(node, where, ["overall.look", { count }]);
    bar.value = all.length ? done / all.length : 0;
    bar.hidden = stop.hidden = open === 0;
    again.hidden = failed === 0;
    const key = open || !failed ? "overall.done" : "overall.failed";
    say(words, "text", [key, { done, all: all.length, failed }]);
    document.title = open ? `(${done}/${all.length}) cleancut` : "cleancut";
  };
  tell();
  for (const kind of ["added", "removed", "changed"]) items.addEventListener(kind, tell);
}

function nextDoubt() {
  const all = [...items];
  const from = all.findIndex((item) => item === items.selected);
  const next = [...all.slice(from + 1), ...all.slice(0, from + 1)].find(isDoubtful);
  if (next) items.select(next);
}

function isDoubtful(item) {
  return openDoubts(item).length > 0;
}

function followItems() {
  const shown = () => {
    const first = desk.classList.contains("empty") && items.length > 0;
    desk.classList.toggle("empty", items.length === 0);
    document.documentElement.classList.toggle("busy", items.length > 0);
    if (first) find("stage").focus({ preventScroll: true }); // the button that had it is gone
  };
  for (const kind of ["added", "removed"]) items.addEventListener(kind, shown);
  items.addEventListener("changed", (event) => {
    const { item, names } = /** @type {any} */ (event).detail;
    if (!names.includes("state")) return;
    const { name } = item;
    if (item.state === "failed") announce(t("say.failed", { name, why: explain(item.problem).title }));
    if (item.state !== "done") return;
    const why = doubts(item.facts).map(({ title }) => title).join(" ");
    announce(t(why ? "say.doubt" : "say.done", { name, why }));
  });
  addEventListener("beforeunload", (event) => {
    const atRisk = [...items].some((item) => isOpen(item) || (item.cutout && !item.downloaded));
    if (atRisk) event.preventDefault();
  });
}

function listenToKeys() {
  addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (desk.hidden) return;
    if (command && key === "s") downloadSelected();
    else if (command && key === "o") pick();
    else if (isTyping(event.target) || event.defaultPrevented) return;
    else if (command && key === "c" && !getSelection()?.toString()) copySelected();
    else if (command || event.altKey) return;
    else if (key === "?") showShortcuts();
    else if (key === "delete" && items.selected) items.remove(items.selected);
    else return;
    event.preventDefault();
  });
}
