// @ts-check
/** The part of the page that is for videos: shown in place of the pictures. */

import { h, icon, say } from "../dom.js";
import { announce } from "../notices.js";
import { describe, explain } from "../reasons.js";
import { language, learnWords, t } from "../words.js";
import { complete, formOf } from "./form.js";
import { spanOf } from "./span.js";
import { task } from "./task.js";
import { clock, FORMS, request, wishes } from "./wishes.js";

const NOTES_HIDDEN = new Set(["engine"]);

await learnWords((code) => (code === "zh" ? import("./words/zh.js") : import("./words/en.js")));
await styled();

/**
 * Build it into `place`.
 * @param {HTMLElement} place
 * @param {{about: any, models: any[], sizeText: (bytes: number) => string, still: (file: File) => void}} told
 */
export function mountVideo(place, told) {
  const stage = h("section", { class: "video-stage", tLabel: "video.label", tabindex: "-1" });
  const panel = h("section", { class: "video-panel", tLabel: "panel.label" }, formOf(told.models));
  const deliver = h("section", { class: "video-deliver", tLabel: "download.label" });
  const picker = h("input", { type: "file", id: "pick-video", accept: "video/*,.mkv,.mts,.m2ts,.gif,.apng,.webp", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  picker.addEventListener("change", () => {
    if (picker.files[0]) task.choose(picker.files[0]);
    picker.value = "";
  });
  const scene = { place, stage, panel, deliver, pick: () => picker.click(), ...told };
  place.append(stage, panel, deliver, picker);
  let shown = "";
  const show = () => {
    const state = [task.state, task.name, task.file?.lastModified, task.result?.result].join();
    if (state !== shown) {
      shown = state;
      draw(scene);
    }
    tellProgress(place);
  };
  task.addEventListener("change", show);
  document.addEventListener("language", () => {
    shown = "";
    show();
  });
  addEventListener("beforeunload", (event) => {
    if (task.state === "sending") event.preventDefault();
  });
  show();
}

/** @param {any} scene */
function draw(scene) {
  const { place, stage, panel, deliver } = scene;
  place.dataset.state = task.state;
  panel.inert = task.busy;
  const parts = { empty, chosen, sending: working, waiting: working, working, done, failed }[task.state](scene);
  for (const video of stage.querySelectorAll("[src^='blob:']")) URL.revokeObjectURL(video.src);
  stage.replaceChildren(...parts.stage);
  deliver.replaceChildren(...parts.deliver);
  place.scrollTop = 0;
  if (task.state === "done") announce(t("say.done", { name: task.name, why: "" }));
  if (task.state === "failed") announce(t("say.failed", { name: task.name, why: explain(task.problem, "video.").title }));
}

function empty({ pick, about, sizeText }) {
  const { video_bytes: bytes, video_minutes: minutes } = about.limits;
  return {
    stage: [h("div", { class: "invitation" },
      h("div", { class: "art", "aria-hidden": "true" }, h("div", { class: "leaf back" }), h("div", { class: "leaf front" }, icon("film"))),
      h("h2", { t: "video.title" }), h("p", { class: "lead", t: "video.lead" }),
      h("div", { class: "row" }, h("button", { type: "button", class: "primary large", id: "choose-video", onclick: pick }, icon("add"), h("span", { t: "video.pick" }))),
      h("p", { class: "quiet" }, t("video.limits", { size: sizeText(bytes), minutes })),
      h("p", { class: "quiet", t: "video.private" }))],
    deliver: [],
  };
}

/** Whose times the wishes hold. @type {File | null} */
let spanFor = null;

function chosen({ pick, about, sizeText, still }) {
  const file = /** @type {File} */ (task.file);
  const limit = about.limits.video_bytes;
  const large = file.size > limit;
  const span = spanOf((second) => {
    if (player.tagName === "VIDEO") player.currentTime = second;
  });
  const animation = file.type.startsWith("image/") || /\.(gif|a?png|webp)$/i.test(file.name);
  const player = playerOf(animation ? "image" : "video", URL.createObjectURL(file), "video.unseen");
  player.addEventListener("loadedmetadata", () => (span.length = player.duration));
  if (spanFor !== file) {
    spanFor = file;
    wishes.set({ start: "", stop: "" });
  }
  const act = h("button", { type: "button", class: "primary large", id: "video-start-job", disabled: large, onclick: go }, h("span", { t: "video.go" }));
  return {
    stage: [h("div", { class: "video-frame" }, player), h("div", { class: "video-below" },
      h("div", { class: "row spread" }, h("strong", { class: "video-name" }, task.name), h("span", { class: "quiet" }, sizeText(file.size))),
      span.node)],
    deliver: [large && trouble(t("intake.large", { size: sizeText(file.size), limit: sizeText(limit) })), act,
      h("div", { class: "row fill" },
        h("button", { type: "button", onclick: pick, t: "video.other" }),
        animation && h("button", { type: "button", onclick: () => still(file), t: "video.still" }))].filter(Boolean),
  };
}

function go() {
  if (!complete()) return;
  const { fields, files } = request(wishes.now);
  task.start(fields, files);
}

function working() {
  return {
    stage: [h("div", { class: "stage-card working", role: "group", tLabel: "video.progress" },
      h("p", { class: "video-name quiet" }, task.name), h("p", { class: "video-doing" }), h("progress", { max: 1, tLabel: "video.progress" }), h("p", { class: "video-facts quiet" }),
      h("button", { type: "button", class: "small", id: "video-cancel", t: "cancel", onclick: () => task.cancel() }))],
    deliver: [h("p", { class: "quiet", t: task.state === "sending" ? "video.stay" : "video.leave" })],
  };
}

/** What changes every moment, without making anything anew. */
function tellProgress(place) {
  const [doing, bar, facts] = [".video-doing", ".stage-card progress", ".video-facts"].map((one) => place.querySelector(one));
  document.title = task.state === "working" && task.progress ? `(${percent(task.progress.share)}) cleancut` : "cleancut";
  if (!doing || !bar || !facts) return;
  say(doing, "text", `video.${task.state}`);
  const share = task.state === "sending" ? task.sent : (task.progress?.share ?? 0);
  if (share > 0) bar.value = share;
  else bar.removeAttribute("value");
  facts.textContent = factsLine(share);
}

function factsLine(share) {
  if (task.state === "sending") return percent(share);
  const told = task.progress;
  if (!told?.frames) return "\u00a0";
  const number = (value, digits = 0) => new Intl.NumberFormat(language(), { maximumFractionDigits: digits }).format(value);
  const parts = [share ? percent(share) : "", t("video.frames", { count: number(told.frames) }), told.fps ? t("video.fps", { fps: number(told.fps, 1) }) : ""];
  // The first frames are slow, and say nothing of the others.
  if (told.seconds_left !== null && told.frames > 9) parts.push(t("video.left", { time: clock(Math.ceil(told.seconds_left)) }));
  return parts.filter(Boolean).join(" · ");
}

function percent(share) {
  return new Intl.NumberFormat(language(), { style: "percent" }).format(share);
}

function done({ pick }) {
  const item = task.result;
  const place = resultPlace(item.result);
  const shown = FORMS[item.format]?.shown ?? "";
  const player = shown ? playerOf(shown, place, "video.unseen.result") : h("p", { class: "video-unseen", t: "video.unseen.result" });
  const seek = (second) => {
    if (player.tagName !== "VIDEO") return;
    player.currentTime = second;
    player.focus();
  };
  const again = task.file && h("button", { type: "button", onclick: go, t: "video.again" });
  const clear = FORMS[item.format]?.clear && item.format === "webm" && "GestureEvent" in window;
  return {
    stage: [h("div", { class: FORMS[item.format]?.clear ? "video-frame checker" : "video-frame" }, player), h("div", { class: "video-below" }, remarks(item.facts ?? {}, seek),
      clear && h("p", { class: "hint", t: "video.safari" }), factsOf(item))],
    deliver: [h("a", { class: "button primary large", id: "video-download", href: place, download: "" }, icon("download"), h("span", null, t("download.one", { format: t(`video.form.${item.format}`) }))),
      h("div", { class: "row fill" }, again, h("button", { type: "button", onclick: pick, t: "video.other" }))],
  };
}

/** The signed link below this page, however the server calls itself. */
function resultPlace(link) {
  const { pathname, search } = new URL(link);
  return pathname.slice(pathname.indexOf("/v1/jobs/") + 1) + search;
}

function remarks(facts, seek) {
  const began = facts.start_s ?? 0; // times are the source's, and the result begins later
  const spans = (facts.unsure ?? []).slice(0, 12).map(([one, other]) => {
    const [first, last] = [one - began, other - began];
    const words = last - first >= 0.1 ? `${clock(first)}–${clock(last)}` : clock(first);
    return h("button", { type: "button", class: "small", onclick: () => seek(first) }, words);
  });
  const notes = describe((facts.notes ?? []).map(noteOf)).filter(({ code }) => !NOTES_HIDDEN.has(code));
  return h("div", { class: "remarks" },
    spans.length > 0 && h("div", { class: "remark unsure" }, icon("failed"),
      h("div", null, h("p", { t: "video.unsure" }), h("div", { class: "row" }, spans))),
    notes.map(({ title, advice }) => h("p", { class: "remark" }, icon("failed"), h("span", null, title, advice && ` ${advice}`))));
}

function noteOf(line) {
  const [, code, text] = /^(\w+): ([^]*)$/.exec(line) ?? [null, "", line];
  return { code, text };
}

function factsOf(item) {
  const { size = [0, 0], frames = 0, video_s: length = 0 } = item.facts ?? {};
  return h("p", { class: "quiet" }, [task.name, `${size[0]} × ${size[1]}`, length ? clock(length) : "", t("video.frames", { count: frames })].filter(Boolean).join(" · "));
}

function failed({ pick }) {
  const { title, advice, text } = explain(task.problem, "video.");
  const retry = task.file && h("button", { type: "button", class: "small primary", t: "stage.again", onclick: () => task.choose(task.file) });
  return {
    stage: [h("div", { class: "stage-card trouble" }, icon("failed"),
      h("div", { class: "card-words" }, h("p", null, h("strong", null, title)), advice && h("p", null, advice),
        text && h("details", null, h("summary", { t: "stage.details" }), h("p", null, text))),
      retry)],
    deliver: [h("button", { type: "button", onclick: pick, t: "video.other" })],
  };
}

function trouble(text) {
  return h("p", { class: "trouble" }, text);
}

/** A player; where the browser cannot show it, words in its place. */
function playerOf(kind, source, unseen) {
  const node = kind === "image" ? h("img", { src: source, alt: task.name }) : h("video", { src: source, controls: true, loop: true, muted: true, playsinline: "", preload: "auto", "aria-label": task.name });
  node.addEventListener("error", () => node.replaceWith(h("p", { class: "video-unseen", t: unseen })));
  return node;
}

function styled() {
  const link = h("link", { rel: "stylesheet", href: new URL("./video.css", import.meta.url).pathname });
  return new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    document.head.append(link);
  });
}
