// @ts-check
/** The stage: the selected picture, looked at in several ways, and retouched. */

import { Backdrops } from "./backdrops.js";
import { Compare } from "./compare.js";
import { h, icon, isTyping } from "./dom.js";
import { finalOf, framed } from "./final.js";
import { handleGestures } from "./gestures.js";
import { Painter } from "./painter.js";
import { decode, Pictures } from "./pictures.js";
import { Retouch } from "./retouch.js";
import { viewSwitch, zoomControls } from "./stage_bar.js";
import { Cards } from "./stage_cards.js";
import { Tiles } from "./tiles.js";
import { View } from "./view.js";
import { t } from "./words.js";

/** Settings rest for so long before a result is asked for, ms. */
const SETTLED = 400;
/** The last picture stays so long for the next one to be decoded, ms: no empty stage between. */
const PATIENCE = 400;
/** Settings that frame the result; what it stands on is seen without asking. */
const FRAMING = new Set(["crop", "preset", "canvas", "head", "sheet"]);

/**
 * Fills the stage.
 * @param {HTMLElement} element
 * @param {{items: any, settings: any}} parts
 */
export function mountStage(element, parts) {
  return new Stage(element, parts);
}

class Stage {
  constructor(element, { items, settings }) {
    this.items = items;
    this.settings = settings;
    this.view = new View();
    /** The view that the user wants; not every picture has every one. */
    this.kind = "cutout";
    /** @type {Pictures | null} */
    this.pictures = null;
    /** @type {{tiles: Tiles | null, of: any, busy: boolean, problem: any}} */
    this.result = { tiles: null, of: null, busy: false, problem: null };
    this.peeking = false;
    this.patient = 0;
    /** Pictures to be retouched as soon as they are decoded. @type {Pictures | null} */
    this.wanted = null;
    this.canvas = h("canvas", { class: "stage-canvas", role: "img" });
    this.port = h("div", { class: "stage-port", tabindex: 0, role: "group", tLabel: "stage.port" }, this.canvas);
    this.backdrops = new Backdrops(() => this.repaint());
    this.painter = new Painter(this.canvas, this.view, this.backdrops);
    this.compare = new Compare(this.port, this.view, () => this.repaint());
    this.retouch = new Retouch(this.port, this.view);
    this.cards = new Cards({ retouch: () => this.#retouch() });
    this.switch = viewSwitch((name) => this.look(name));
    const start = { class: "retouch-start", tTitle: "retouch.start.why", onClick: () => this.#retouch() };
    this.start = h("button", { type: "button", ...start }, icon("brush"), h("span", { t: "retouch.start" }));
    this.port.append(this.compare.element, ...this.retouch.tools.elements, this.cards.element, this.retouch.chip);
    element.append(
      h("div", { class: "stage-top" }, this.switch.element, this.start, this.retouch.bar.done),
      this.port,
      h("div", { class: "stage-foot" }, this.cards.bar, this.retouch.bar.element, zoomControls(this.view)),
    );
    this.#listen();
    this.#select(items.selected);
  }

  /** Chooses a view. @param {string} kind */
  look(kind) {
    this.kind = kind;
    if (kind === "result") this.#askResult();
    this.update();
  }

  /** Brings controls and picture up to date. */
  update() {
    const { pictures, retouch } = this;
    const item = pictures?.item ?? null;
    const shown = this.#shown();
    const chosen = this.#chosen();
    const resulting = chosen === "result" && this.result.busy;
    const resultProblem = chosen === "result" ? this.result.problem : null;
    const whole = item?.state === "done" && pictures?.original && pictures.cutout;
    this.switch.show(chosen, this.#usable());
    this.start.hidden = retouch.active;
    this.start.disabled = !whole || retouch.starting || retouch.leaving;
    this.compare.element.hidden = shown !== "compare" || !pictures?.cutout;
    this.cards.show(item, { retouching: retouch.active, resulting, resultProblem });
    this.#mark(item, shown, resulting);
    this.repaint();
    if (this.wanted === pictures && pictures && !this.start.disabled) this.#retouch();
  }

  /** Says on the element itself what is going on, for styles and for readers of the screen. */
  #mark(item, shown, resulting) {
    const { port, retouch } = this;
    const pending = retouch.session?.pending.length ?? 0;
    const working = item?.state === "sending" || item?.state === "working";
    Object.assign(port.dataset, {
      view: shown,
      state: item?.state ?? "",
      tool: retouch.active ? retouch.tools.name : "",
      pending: String(pending),
    });
    port.classList.toggle("drawing", retouch.active);
    port.classList.toggle("dimmed", Boolean(item && !item.cutout && item.state !== "done"));
    port.setAttribute("aria-busy", String(Boolean(resulting || pending || working)));
    const label = item ? t(`stage.shows.${shown}`, { name: item.name }) : "";
    this.canvas.setAttribute("aria-label", label);
  }

  /** Paints at the next frame. */
  repaint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.#paint();
    });
  }

  #paint() {
    const { pictures, retouch, view } = this;
    if (pictures?.loading && performance.now() < this.patient) return;
    const shown = this.#shown();
    const size = shown === "result" ? this.result.tiles : this.#cutout() ?? pictures?.original;
    if (size) view.show(size.width, size.height);
    const nothing = !size;
    this.painter.paint({
      kind: shown,
      original: nothing ? null : pictures?.original ?? null,
      cutout: nothing ? null : this.#cutout(),
      result: this.result.tiles,
      background: this.settings.background,
      strokes: retouch.strokes,
      places: retouch.places,
      ghost: retouch.active && retouch.ghost,
      divide: this.compare.element.hidden ? 0 : this.compare.place(),
    });
  }

  #cutout() {
    const { retouch, pictures } = this;
    const mine = retouch.session && retouch.session.item === pictures?.item;
    return mine ? retouch.session.cutout : pictures?.cutout ?? null;
  }

  /** The view that is painted now. */
  #shown() {
    if (this.peeking || this.retouch.peeking) return "original";
    const chosen = this.#chosen();
    return chosen === "result" && !this.result.tiles ? "cutout" : chosen;
  }

  /** The wished view, where there is one. */
  #chosen() {
    return this.#usable()[this.kind] ? this.kind : "cutout";
  }

  #usable() {
    const cutout = Boolean(this.pictures?.cutout);
    const retouching = this.retouch.active;
    const result = cutout && !retouching && framed(this.settings.all);
    const original = Boolean(this.pictures?.original);
    const compare = cutout && original && !retouching;
    return { cutout: true, compare, matte: cutout, edges: cutout, original, result };
  }

  #listen() {
    const { items, settings, port, view, retouch } = this;
    const ofMine = (act) => (event) => event.detail.item === this.pictures?.item && act(event);
    items.addEventListener("selected", (event) => this.#select(event.detail.item));
    items.addEventListener("changed", ofMine(({ detail: { names } }) => {
      if (names.some((name) => name === "cutout" || name === "url")) this.pictures?.update();
      if (names.includes("cutout")) this.#forgetResult();
      this.update();
    }));
    settings.addEventListener("change", (event) => this.#settingsChanged(event.detail.names));
    document.addEventListener("language", () => this.update());
    view.addEventListener("change", () => this.repaint());
    retouch.addEventListener("change", () => {
      this.painter.forget();
      this.update();
    });
    port.addEventListener("keydown", (event) => retouch.active && this.#keyInPort(event), { capture: true });
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("keyup", (event) => event.key.toLowerCase() === "o" && this.#peek(false));
    addEventListener("blur", () => this.#peek(false));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
    handleGestures(port, view, () => (retouch.active ? retouch.tools : null));
    new ResizeObserver(([entry]) => {
      const ratio = devicePixelRatio;
      const { width, height } = entry.contentRect;
      view.resize(Math.round(width * ratio), Math.round(height * ratio));
      this.#paint();
    }).observe(port);
  }

  /** @param {import("./items.js").Item | null} item */
  #select(item) {
    const old = this.pictures;
    if (old && old.item === item) return;
    const kept = this.retouch.pictures === old ? this.retouch.leave() : Promise.resolve();
    kept.finally(() => old?.close());
    this.#forgetResult();
    this.view.fit();
    this.pictures = item ? new Pictures(item) : null;
    this.pictures?.addEventListener("change", () => {
      this.painter.forget();
      this.update();
    });
    this.pictures?.update();
    this.patient = performance.now() + PATIENCE;
    setTimeout(() => this.repaint(), PATIENCE);
    if (this.kind === "result") this.#askResult();
    this.update();
  }

  #settingsChanged(names) {
    if (names.some((name) => FRAMING.has(name)) && !this.retouch.active) {
      const framing = framed(this.settings.all);
      if (framing && this.kind === "cutout") this.kind = "result";
      if (!framing && this.kind === "result") this.kind = "cutout";
    }
    if (names.includes("theme")) requestAnimationFrame(() => this.repaint());
    if (this.kind === "result") this.#askResult();
    this.update();
  }

  #forgetResult() {
    this.result.tiles?.release();
    this.result = { tiles: null, of: null, busy: false, problem: null };
    if (this.kind === "result") this.#askResult();
  }

  /** Has the exact download made, once the settings rest. */
  #askResult() {
    clearTimeout(this.timer);
    const item = this.pictures?.item;
    if (!item?.cutout || !framed(this.settings.all)) return;
    this.result.busy = true;
    this.result.problem = null;
    this.timer = setTimeout(async () => {
      if (item.state !== "done") return;
      const asked = (this.result.of = {});
      let [tiles, problem] = [null, null];
      try {
        const bitmap = await decode((await finalOf(item, "png")).blob);
        tiles = bitmap && Tiles.of(bitmap);
        bitmap?.close();
      } catch (error) {
        problem = error;
      }
      if (this.result.of !== asked) return tiles?.release();
      this.result.tiles?.release();
      this.result = { tiles, of: asked, busy: false, problem };
      this.update();
    }, SETTLED);
  }

  #retouch() {
    const { pictures } = this;
    if (this.start.disabled) {
      if (pictures?.loading && !pictures.closed) this.wanted = pictures; // large ones take a while
      return;
    }
    this.wanted = null;
    if (!pictures) return;
    if (["result", "compare", "original"].includes(this.kind)) this.kind = "cutout";
    this.retouch.start(pictures);
  }

  #peek(on) {
    if (this.peeking === on) return;
    this.peeking = on;
    this.update();
  }

  #keyInPort(event) {
    if (event.target === this.port && this.retouch.key(event)) event.preventDefault();
  }

  #key(event) {
    if (event.defaultPrevented || !this.pictures || isTyping(event.target)) return;
    if (this.retouch.key(event)) return event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { view } = this;
    const acts = {
      "+": () => view.step(1),
      "=": () => view.step(1),
      "-": () => view.step(-1),
      0: () => view.fit(),
      1: () => view.zoomTo(1),
      o: () => this.#peek(true),
      r: () => this.#retouch(),
      c: () => this.#toggle("compare"),
      m: () => this.#toggle("matte"),
      s: () => this.#toggle("edges"),
    };
    const act = acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #toggle(kind) {
    this.look(this.#chosen() === kind || !this.#usable()[kind] ? "cutout" : kind);
  }
}
