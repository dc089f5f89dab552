// @ts-check
/** Retouching: takes a cutout into the user's hands, and gives its matte back. */

import { cut } from "./api.js";
import { h } from "./dom.js";
import { items } from "./items.js";
import { announce, notice } from "./notices.js";
import { decode } from "./pictures.js";
import { explain } from "./reasons.js";
import { RetouchBar } from "./retouch_bar.js";
import { Session } from "./retouch_session.js";
import { TOOL_KEYS, Tools } from "./retouch_tools.js";
import { cutFields, settings } from "./settings.js";
import { Tiles } from "./tiles.js";
import { t } from "./words.js";

/** Fields that a matte itself depends on; edges and shadows are put on it afterwards. */
const OF_THE_MATTE = ["model", "refine"];
/** With these alone the cutout's alpha is the bare matte. */
const NEUTRAL = new Set([...OF_THE_MATTE, "decontaminate"]);
/** The first brush is so wide on the screen, in CSS pixels. */
const FIRST_RADIUS = 16;
const SIZE_STEP = 1.2;
const SOFT_STEP = 0.1;

/** Fires "change" when it began, ended or something is to be painted. */
export class Retouch extends EventTarget {
  /**
   * @param {HTMLElement} port
   * @param {import("./view.js").View} view
   */
  constructor(port, view) {
    super();
    this.port = port;
    this.view = view;
    /** @type {Session | null} */
    this.session = null;
    /** @type {import("./pictures.js").Pictures | null} */
    this.pictures = null;
    this.starting = false;
    this.leaving = false;
    this.peeking = false;
    this.ghost = true;
    this.tools = new Tools(port, view, {
      submit: (job) => this.session?.submit(job),
      repaint: () => this.#tell(),
      changed: () => this.#tell(),
    });
    this.bar = new RetouchBar(this.tools, {
      undo: () => this.session?.undo(),
      redo: () => this.session?.redo(),
      reset: () => this.session?.submit({ kind: "automatic" }),
      done: () => this.leave(),
      peek: (on) => this.peek(on),
      ghost: (on) => {
        this.ghost = on;
        this.#tell();
      },
    });
    const words = h("span", { t: "retouch.looking" });
    const chip = { class: "stage-chip retouch-chip", hidden: true };
    this.chip = h("p", chip, h("span", { class: "spinner" }), words);
    view.addEventListener("change", () => this.tools.show());
    this.#follow();
  }

  /** Whether tools are in hand. */
  get active() {
    return this.session !== null && !this.leaving;
  }

  /** Strokes that are drawn and not answered yet. @returns {import("./strokes.js").Stroke[]} */
  get strokes() {
    const jobs = this.session?.pending ?? [];
    const waiting = jobs.flatMap((job) => (job.kind === "stroke" ? [job.stroke] : []));
    return this.tools.live ? [...waiting, this.tools.live] : waiting;
  }

  /** Clicks and boxes that are looked at. */
  get places() {
    return (this.session?.pending ?? []).flatMap((job) =>
      job.kind === "object" ? [{ point: job.point }] : job.kind === "box" ? [{ box: job.box }] : [],
    );
  }

  /** @param {import("./pictures.js").Pictures} pictures */
  async start(pictures) {
    const { item, original } = pictures;
    if (this.session || this.starting || !item.cutout || !original || !pictures.cutout) return;
    this.starting = true;
    this.pictures = pictures;
    this.#tell();
    try {
      const cutout = isNeutral(item) ? pictures.cutout : await neutral(item);
      if (pictures.closed) return;
      if (cutout.width !== original.width || cutout.height !== original.height) throw new Error("size");
      pictures.lent = true;
      this.session = new Session(item, original, cutout, fieldsOf(OF_THE_MATTE));
      this.session.addEventListener("change", () => this.#tell());
      this.session.addEventListener("problem", (event) => tellProblem(/** @type {any} */ (event).detail));
      this.tools.last = null;
      const ratio = this.view.wide / Math.max(1, this.port.clientWidth);
      this.tools.resize((FIRST_RADIUS * ratio) / this.view.scale);
      this.port.focus({ preventScroll: true });
      announce(t("retouch.started"));
    } catch (error) {
      tellProblem({ error });
    } finally {
      this.starting = false;
      this.#tell();
    }
  }

  /** Keeps what was done; answers when the item has its new matte. */
  async leave() {
    const { session, pictures } = this;
    if (!session || !pictures || this.leaving) return;
    this.leaving = true;
    this.peeking = false;
    this.tools.cancel();
    this.tools.hover(null);
    this.#tell();
    if (!items.get(session.item.id)) session.abandon();
    await session.finish();
    if (session.state !== 0 && !pictures.closed) pictures.putCutout(session.cutout);
    else if (session.cutout !== pictures.cutout) session.cutout.release();
    pictures.lent = false;
    this.session = this.pictures = null;
    this.leaving = false;
    pictures.update();
    this.#tell();
  }

  /** Shows the original for as long as it is wished. @param {boolean} on */
  peek(on) {
    if (this.peeking === on) return;
    this.peeking = on;
    this.#tell();
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was meant for retouching */
  key(event) {
    if (!this.active) return false;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (key === "z" && event.shiftKey) this.session?.redo();
      else if (key === "z") this.session?.undo();
      else if (key === "y") this.session?.redo();
      else if (key === "enter") this.leave();
      else return false;
      return true;
    }
    if (event.altKey) return false;
    const bracket = { "[": -1, "{": -1, "]": 1, "}": 1 }[event.key];
    if (bracket) {
      if (event.shiftKey) this.tools.soften(this.tools.softness + bracket * SOFT_STEP);
      else this.tools.resize(this.tools.radius * SIZE_STEP ** bracket);
    } else if (TOOL_KEYS[key]) {
      this.tools.take(TOOL_KEYS[key]);
    } else if (key === "escape") {
      this.tools.cancel();
    } else {
      return event.target === this.port && this.tools.key(event);
    }
    return true;
  }

  /** The cursor goes where the pointer goes, also while nothing is drawn. */
  #follow() {
    const { port, view, tools } = this;
    const at = (event) => {
      const box = port.getBoundingClientRect();
      const ratio = view.wide / Math.max(1, port.clientWidth);
      return view.toPicture((event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio);
    };
    port.addEventListener("pointermove", (event) => {
      if (this.active) tools.hover(at(event), event.shiftKey);
    });
    port.addEventListener("pointerleave", () => tools.hover(null));
    port.addEventListener("pointerup", (event) => event.pointerType === "touch" && tools.hover(null));
  }

  #tell() {
    this.bar.show(this.active ? this.session : null);
    const slow = this.session?.pending.some(({ kind }) => kind !== "stroke");
    this.chip.hidden = !(this.starting || this.leaving || slow);
    this.dispatchEvent(new Event("change"));
  }
}

/** Whether the alpha of what is shown is the bare matte. */
function isNeutral(item) {
  return Object.keys(JSON.parse(item.madeWith || "{}")).every((name) => NEUTRAL.has(name));
}

/** The cutout without anything that is put on its matte afterwards. */
async function neutral(item) {
  const files = item.matte ? { matte: item.matte } : {};
  const fields = { ...(item.matte ? {} : fieldsOf(OF_THE_MATTE)), format: "png" };
  const { blob } = await cut({ image: item.file, fields, files });
  const bitmap = /** @type {ImageBitmap} */ (await decode(blob));
  const tiles = Tiles.of(bitmap);
  bitmap.close();
  return tiles;
}

function fieldsOf(names) {
  return Object.fromEntries(Object.entries(cutFields(settings.all)).filter(([name]) => names.includes(name)));
}

function tellProblem({ error }) {
  if (error?.name === "AbortError") return;
  const { title, advice } = error?.code ? explain(error) : { title: t("retouch.failed"), advice: "" };
  notice(t("retouch.undone", { why: [title, advice].filter(Boolean).join(" ") }), { kind: "error" });
}
