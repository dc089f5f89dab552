// @ts-check
/** Views of the matte: in grey, and its soft pixels in a clear colour. */

/** Soft pixels stand out in this colour, on light and dark pictures. */
const SOFT = [255, 0, 140];
/** How much of the picture is left under them. */
const DIMMED = 0.35;

/**
 * Turns a drawn cutout into its matte: white where it is opaque, on black.
 * @param {CanvasRenderingContext2D} layer with the cutout on it
 * @param {CanvasRenderingContext2D} ctx
 * @param {import("./view.js").View} view
 */
export function paintMatte(layer, ctx, view) {
  layer.globalCompositeOperation = "source-in";
  layer.fillStyle = "#fff";
  layer.fillRect(0, 0, view.wide, view.high);
  layer.globalCompositeOperation = "source-over";
  const { left, top, width, height } = view.box;
  ctx.fillStyle = "#000";
  ctx.fillRect(left, top, width, height);
  ctx.drawImage(layer.canvas, 0, 0);
}

/** Where a matte is neither 0 nor 1, at every scale: no soft pixel is lost in the view from afar. */
export class SoftEdges {
  /** @param {Uint8Array} alpha row by row @param {number} width @param {number} height */
  constructor(alpha, width, height) {
    this.levels = [{ width, height, soft: softness(alpha) }];
  }

  /**
   * Paints the soft pixels over the dimmed picture that is on `ctx`.
   * @param {CanvasRenderingContext2D} ctx
   * @param {import("./view.js").View} view
   */
  paint(ctx, view) {
    const box = view.box;
    const left = Math.max(0, box.left);
    const top = Math.max(0, box.top);
    const wide = Math.min(view.wide, box.right) - left;
    const high = Math.min(view.high, box.bottom) - top;
    if (wide <= 0 || high <= 0) return;
    ctx.fillStyle = `rgb(0 0 0 / ${1 - DIMMED})`;
    ctx.fillRect(left, top, wide, high);
    const { level, shrunk } = this.#levelFor(view.scale);
    const step = 1 / (view.scale * shrunk);
    const columns = Int32Array.from({ length: wide }, (_, x) =>
      Math.min(level.width - 1, Math.max(0, Math.floor((left + x + 0.5 - view.x) * step))),
    );
    const pixels = new ImageData(wide, high);
    const out = new Uint32Array(pixels.data.buffer);
    for (let y = 0; y < high; y += 1) {
      const row = Math.floor((top + y + 0.5 - view.y) * step);
      const start = Math.min(level.height - 1, Math.max(0, row)) * level.width;
      for (let x = 0; x < wide; x += 1) out[y * wide + x] = SHADES[level.soft[start + columns[x]]];
    }
    const sheet = new OffscreenCanvas(wide, high);
    /** @type {any} */ (sheet.getContext("2d")).putImageData(pixels, 0, 0);
    ctx.drawImage(sheet, left, top);
  }

  #levelFor(scale) {
    let [at, shrunk] = [0, 1];
    while (scale * shrunk <= 0.5) {
      this.levels[at + 1] ??= halved(this.levels[at]);
      at += 1;
      shrunk *= 2;
    }
    return { level: this.levels[at], shrunk };
  }
}

/** Colours (as stored, little endian) by how soft a pixel is, 0..127. */
const SHADES = Uint32Array.from({ length: 128 }, (_, soft) => {
  const alpha = soft ? Math.round(110 + (145 * soft) / 127) : 0;
  return ((alpha << 24) | (SOFT[2] << 16) | (SOFT[1] << 8) | SOFT[0]) >>> 0;
});

function softness(alpha) {
  const soft = new Uint8Array(alpha.length);
  for (let at = 0; at < alpha.length; at += 1) soft[at] = Math.min(alpha[at], 255 - alpha[at]);
  return soft;
}

/** Half the size; each pixel is the softest of four. */
function halved({ width, height, soft }) {
  const wide = Math.ceil(width / 2);
  const high = Math.ceil(height / 2);
  const out = new Uint8Array(wide * high);
  for (let y = 0; y < height; y += 1) {
    const to = (y >> 1) * wide;
    for (let x = 0, from = y * width; x < width; x += 1, from += 1) {
      if (soft[from] > out[to + (x >> 1)]) out[to + (x >> 1)] = soft[from];
    }
  }
  return { width: wide, height: high, soft: out };
}
