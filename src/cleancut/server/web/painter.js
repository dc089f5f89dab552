// @ts-check
/** Paints the stage: what the chosen view shows of the pictures there are. */

import { paintChecker } from "./backdrops.js";
import { paintMatte, SoftEdges } from "./mattes.js";
import { coreRadius, trace } from "./strokes.js";

/** How strongly removed parts are shown while they can be painted back. */
const GHOST = 0.3;
/** Radius of the sign for a click that waits, in CSS pixels. */
const PIN = 9;
const EDGE_TINT = "rgb(40 110 255 / 0.45)";

/**
 * @typedef {object} Scene
 * @property {string} kind the view: cutout, compare, matte, edges, original or result
 * @property {import("./tiles.js").Tiles | null} original
 * @property {import("./tiles.js").Tiles | null} cutout
 * @property {import("./tiles.js").Tiles | null} result
 * @property {import("./settings.js").Background} background
 * @property {import("./strokes.js").Stroke[]} strokes drawn, and not answered yet
 * @property {{point?: [number, number], box?: import("./strokes.js").Area}[]} places being looked at
 * @property {boolean} ghost whether removed parts shine through
 * @property {number} divide where before ends and after begins, in device pixels
 */

/** Keeps what painting needs from one time to the next. */
export class Painter {
  /** @param {HTMLCanvasElement} canvas @param {import("./view.js").View} view */
  constructor(canvas, view, backdrops) {
    this.ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.view = view;
    this.backdrops = backdrops;
    this.layers = [layer(), layer()];
    /** @type {{of: any, edges: SoftEdges} | null} */
    this.soft = null;
  }

  /** The matte has changed: its soft pixels are looked for again. */
  forget() {
    this.soft = null;
  }

  /** @param {Scene} scene */
  paint(scene) {
    const { ctx, view } = this;
    const { canvas } = ctx;
    if (canvas.width !== view.wide || canvas.height !== view.high) {
      canvas.width = view.wide;
      canvas.height = view.high;
    }
    ctx.clearRect(0, 0, view.wide, view.high);
    if (scene.kind === "result") {
      paintChecker(ctx, view.box);
      scene.result?.draw(ctx, view);
    } else if (!scene.cutout || scene.kind === "original") {
      if (scene.original) this.#original(scene);
    } else if (scene.kind === "matte") {
      paintMatte(this.#cutout(scene), ctx, view);
    } else if (scene.kind === "edges") {
      this.#original(scene);
      this.#edges(scene.cutout).paint(ctx, view);
    } else {
      this.#standing(scene);
    }
  }

  /** A picture with holes of its own stands on squares. */
  #original({ original }) {
    paintChecker(this.ctx, this.view.box);
    original?.draw(this.ctx, this.view);
  }

  /** The cutout on its background, right of the line where there is one. */
  #standing(scene) {
    const { ctx, view } = this;
    const { original, background, ghost } = scene;
    const cutout = this.#cutout(scene);
    const pictures = { original, cutout: scene.cutout };
    this.backdrops.paint(ctx, view, background, pictures);
    if (ghost && original) {
      ctx.globalAlpha = GHOST;
      original.draw(ctx, view);
      ctx.globalAlpha = 1;
    }
    ctx.drawImage(cutout.canvas, 0, 0);
    for (const stroke of scene.strokes) {
      if (stroke.brush !== "edge") continue;
      ctx.strokeStyle = EDGE_TINT;
      trace(ctx, stroke, view, stroke.radius);
    }
    for (const place of scene.places) this.#place(place);
    if (scene.kind !== "compare" || !original) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(0, 0, scene.divide, view.high);
    ctx.clip();
    this.#original(scene);
    ctx.restore();
  }

  /** Where the server was told to look, until it answers. */
  #place({ point, box }) {
    const { ctx, view } = this;
    const [x, y] = point ?? [box?.x ?? 0, box?.y ?? 0];
    const [left, top] = [view.x + x * view.scale, view.y + y * view.scale];
    ctx.beginPath();
    if (box) ctx.rect(left, top, box.width * view.scale, box.height * view.scale);
    else ctx.arc(left, top, PIN * devicePixelRatio, 0, 2 * Math.PI);
    for (const [width, colour] of /** @type {const} */ ([[4, "#000"], [2, "#fff"]])) {
      ctx.lineWidth = width * devicePixelRatio;
      ctx.strokeStyle = colour;
      ctx.stroke();
    }
  }

  /** The cutout on a layer of its own, with the strokes that wait for an answer. */
  #cutout({ cutout, original, strokes }) {
    const { view } = this;
    const [sheet, paint] = this.layers.map((ctx) => cleared(ctx, view));
    cutout.draw(sheet, view);
    for (const stroke of strokes) {
      const radius = (coreRadius(stroke) + stroke.radius) / 2;
      if (stroke.brush === "erase") {
        sheet.globalCompositeOperation = "destination-out";
        sheet.strokeStyle = "#000";
        trace(sheet, stroke, view, radius);
        sheet.globalCompositeOperation = "source-over";
      } else if (stroke.brush === "keep" && original) {
        cleared(paint, view);
        original.draw(paint, view);
        paint.globalCompositeOperation = "destination-in";
        paint.strokeStyle = "#000";
        trace(paint, stroke, view, radius);
        paint.globalCompositeOperation = "source-over";
        sheet.drawImage(paint.canvas, 0, 0);
      }
    }
    return sheet;
  }

  #edges(cutout) {
    if (this.soft?.of !== cutout) {
      this.soft = { of: cutout, edges: new SoftEdges(cutout.alpha(), cutout.width, cutout.height) };
    }
    return this.soft.edges;
  }
}

function layer() {
  return /** @type {any} */ (document.createElement("canvas").getContext("2d"));
}

function cleared(ctx, { wide, high }) {
  if (ctx.canvas.width !== wide || ctx.canvas.height !== high) {
    ctx.canvas.width = wide;
    ctx.canvas.height = high;
  } else {
    ctx.clearRect(0, 0, wide, high);
  }
  return ctx;
}
